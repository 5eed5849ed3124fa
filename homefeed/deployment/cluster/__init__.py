"""The chart as a target: helm changes it, Kubernetes says what became of it."""
