"""Commands for sweeps: submit, follow and edit them."""
