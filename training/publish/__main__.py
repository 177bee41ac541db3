"""`python -m training.publish`: see `cli`."""

from __future__ import annotations

from training.publish.cli import main

main()
