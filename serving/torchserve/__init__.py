"""The TorchServe model: handler, retriever and model archive."""
