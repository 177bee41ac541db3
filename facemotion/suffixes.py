"""Usual endings of the names of photos and videos, by which a folder is searched."""

from __future__ import annotations

# What a folder is searched for, besides pictures under any other name. It names kinds that may be refused too: a photo
# passed over in silence is worse.
PICTURE_SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib"),
        *(".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif", ".tif", ".tiff"),
    ]
)
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".webm", ".mkv", ".avi")
