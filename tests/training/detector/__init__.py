"""The kit's tests of the face detector."""
