"""Array calls recorded, fused and compiled to machine code."""
