"""Embedding-based retrieval on Kubernetes: an engagement log in, REST recommendations out."""

__version__ = "0.1.0"
