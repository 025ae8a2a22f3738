"""Commands for datasets and their versions."""
