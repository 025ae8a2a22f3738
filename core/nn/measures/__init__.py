"""What losses and metrics share."""
