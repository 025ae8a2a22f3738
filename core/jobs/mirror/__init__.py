"""What MLflow has yet to show of jobs, and where it shows them."""
