"""Suffixes by which a folder is searched for photos and videos."""

from __future__ import annotations

# They name kinds that may be refused too: a photo passed over in silence is worse.
PICTURE_SUFFIXES = frozenset(
    [".jpg", ".jpeg", ".jfif", ".png", ".gif", ".webp", ".bmp", ".avif", ".heic", ".heif", ".tif", ".tiff"]
)
VIDEO_SUFFIXES = frozenset([".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi"])
