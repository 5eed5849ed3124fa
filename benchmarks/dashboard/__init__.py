"""The chart's dashboard as a picture, of what a Prometheus has: for those who have no Grafana."""
