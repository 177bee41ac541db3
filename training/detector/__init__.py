"""The face detector: its data, fine-tuning, evaluation, speed and export."""
