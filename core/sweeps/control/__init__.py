"""What the owner of a sweep may change: its state, its budget, its space."""
