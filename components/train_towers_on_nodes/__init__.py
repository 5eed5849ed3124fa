"""Step 5, on several nodes: the towers are trained by a TrainJob of Kubeflow Trainer."""
