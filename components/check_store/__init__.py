"""Before a training: whether its result can be published."""
