"""The towers become TorchScript."""
