"""Commands for jobs: submit, watch, control, compare and explain them."""
