"""A stored dataset version as a table: read, described, filtered and written."""
