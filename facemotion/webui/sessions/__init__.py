"""The state of one visitor at work: a camera, a video, a gallery."""
