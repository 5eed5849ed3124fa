"""A release that is worse than the one in production goes no further."""
