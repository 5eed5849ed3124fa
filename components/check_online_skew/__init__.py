"""Serving encodes users as the training did."""
