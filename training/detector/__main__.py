"""`python -m training.detector`, the former name of `train`; with `export` as its first word, of `export`."""

from __future__ import annotations

from training.detector.train import main

main()
