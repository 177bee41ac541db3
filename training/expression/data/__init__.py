"""Images and labels of a classifier's run: sources, splits, augmentation, soft labels, the inputs of each epoch."""
