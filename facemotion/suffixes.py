"""File name suffixes of photos and videos."""

from __future__ import annotations

# Folders are searched for these; other files are told by their first bytes. Unsupported formats are listed too, so that
# they are reported instead of skipped.
PICTURE_SUFFIXES = frozenset(
    [
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".png", ".apng", ".gif", ".webp", ".bmp", ".dib"),
        *(".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif", ".tif", ".tiff"),
    ]
)
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".qt", ".3gp", ".webm", ".mkv", ".avi")
