"""Constants that more than one part of the kit needs."""

from __future__ import annotations

from pathlib import Path

import facemotion

SIDE = 48  # FER2013's pictures are 48 x 48 grey
SUFFIXES = {".png", ".jpg", ".jpeg"}
FER2013 = {"name": "FER2013 (ICML 2013 challenge)", "type": "fer2013"}
OWN = {"name": "pictures of the publisher's own", "type": "own"}
ASSETS = Path(facemotion.__file__).resolve().parent / "assets"
