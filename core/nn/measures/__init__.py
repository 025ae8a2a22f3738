"""Computations shared by losses and metrics."""
