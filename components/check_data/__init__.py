"""The data are checked before anything is trained on them."""
