"""Decoding of untrusted images into upright RGB; `load` is the only decoder."""

from __future__ import annotations

from facemotion.images.load import Picture, Pixels, Source, load, load_picture

__all__ = ["Picture", "Pixels", "Source", "load", "load_picture"]
