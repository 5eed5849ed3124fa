"""The towers are trained by a TrainJob of Kubeflow Trainer."""
