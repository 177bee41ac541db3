"""Sessions: the state of a visitor's camera, video or gallery."""
