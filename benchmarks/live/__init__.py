"""The camera as a visitor has it; `python -m benchmarks.live` measures it."""
