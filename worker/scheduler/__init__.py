"""The scheduler: a plain loop that needs no broker."""
