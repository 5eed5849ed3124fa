"""Training on several nodes: a TrainJob of Kubeflow Trainer is created, watched and removed.

The pods of a TrainJob get none of KFP's artifacts. A step of the pipeline therefore copies what is
trained on to a volume that it shares with them, and the towers back from there.
"""
