"""All of the log, as the towers in production take it."""
