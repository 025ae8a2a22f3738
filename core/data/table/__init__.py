"""Read, filter and export a stored dataset version as a table."""
