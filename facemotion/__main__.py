"""Entry point of `python -m facemotion`."""

from __future__ import annotations

import sys

from facemotion.cli import main

sys.exit(main())
