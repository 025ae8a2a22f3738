"""Which rows train, validate and test, the same on every machine."""
