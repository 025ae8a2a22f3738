"""What held-out rows correct of a trained network: the temperature, and errors for intervals."""
