"""The error for data, files and options that will not do."""

from __future__ import annotations


class DataError(Exception):
    """The data cannot be trained on; the message says what is wrong and what was expected."""
