"""What a trained network does with rows it did not train on, and why a loss became NaN."""
