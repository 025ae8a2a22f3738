"""Array operations shared by layers and losses."""
