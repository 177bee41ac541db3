"""The error for data, files and options that will not do."""

from __future__ import annotations

from collections.abc import Sequence

MOST_NAMED = 1000  # bad files in one message; where all are bad, the first thousand tell why


class DataError(Exception):
    """The data cannot be trained on; the message says what is wrong and what was expected."""


def naming_all(problems: Sequence[str]) -> DataError:
    """One error for all bad files, a line each, so that they can be mended in one go."""
    more = [f"and {len(problems) - MOST_NAMED:,} more"] if len(problems) > MOST_NAMED else []
    return DataError("\n".join([*problems[:MOST_NAMED], *more]))
