"""From columns to features: steps of preparation, augmentation, shuffled batches."""
