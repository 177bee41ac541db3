"""The kit's tests of the images and labels it learns from."""
