"""Embeds a sample of users, which the index is measured with."""
