"""The last step of a pipeline: how the run ended, told to people and to a webhook."""
