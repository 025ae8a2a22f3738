"""The mirror: jobs, trials and sweeps as MLflow shows them."""
