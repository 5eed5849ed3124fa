"""Step 12: a release that is worse than the one in production goes no further."""
