"""Small data and forced arithmetic for the tests of training."""
