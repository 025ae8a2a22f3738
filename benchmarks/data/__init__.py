"""What it costs to train on data that is large, far away, or shared."""
