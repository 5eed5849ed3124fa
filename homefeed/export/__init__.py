"""Stage 5: towers as TorchScript, checked against the eager ones."""
