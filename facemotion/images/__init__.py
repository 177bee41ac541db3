"""Untrusted bytes in, upright RGB out: `load` is the only decoder, the files beside it are its parts."""

from __future__ import annotations

from facemotion.images.load import Picture, Pixels, Source, load, load_picture

__all__ = ["Picture", "Pixels", "Source", "load", "load_picture"]
