"""One attempt at a job, or at each of several: from the claim to its outcome."""
