"""Array operations that several layers or losses share."""
