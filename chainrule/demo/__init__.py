"""The demonstration: train digits and predict them through the real stack."""
