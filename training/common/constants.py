"""Constants that more than one part of the kit needs."""

from __future__ import annotations

from pathlib import Path

import facemotion

SIDE = 48  # FER2013's pictures are 48 x 48 grey
SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
FER2013 = {"name": "FER2013 (ICML 2013 challenge)", "type": "fer2013"}
RAF_DB = "RAF-DB basic"
RESEARCH_ONLY = (
    "RAF-DB and WIDER FACE allow non-commercial research; weights that learned from them are for research and "
    "demonstration only."
)
"""What config, card, NOTICE, About tab and README say of such weights, word for word."""
OWN = {"name": "pictures of the publisher's own", "type": "own"}
ASSETS = Path(facemotion.__file__).resolve().parent / "assets"
