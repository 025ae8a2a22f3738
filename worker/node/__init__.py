"""This machine: what a worker has on it, and what it reports of itself."""
