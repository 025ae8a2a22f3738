"""Read schemas: what the API returns, and how rows are converted to it."""
