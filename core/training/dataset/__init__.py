"""From a stored dataset version to the arrays that a network trains on."""
