"""Recording of array calls and their compilation to machine code."""
