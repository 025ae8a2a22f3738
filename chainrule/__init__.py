"""What a person touches: the client, the command line, the embedded stack, the estimators."""
