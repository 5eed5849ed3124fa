"""Step 5: the towers become TorchScript."""
