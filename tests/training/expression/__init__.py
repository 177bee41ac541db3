"""The kit's tests of the expression classifier."""
