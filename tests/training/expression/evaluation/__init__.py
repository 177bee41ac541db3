"""The kit's tests of how a classifier is judged."""
