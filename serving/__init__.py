"""Serving: TorchServe handler, index sidecar, client."""
