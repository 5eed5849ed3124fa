"""Feature crossing: fields become one vector."""
