"""The feature specification and the one encoder that training, corpus and serving use."""
