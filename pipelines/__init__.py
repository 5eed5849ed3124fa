"""KFP pipelines, their recipes and their local runner."""
