"""The training kit and publishing."""
