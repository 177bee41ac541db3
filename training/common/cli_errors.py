"""Exit of the commands after an expected error: a sentence on standard error, and status 2."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from facemotion.errors import FacemotionError
from training.common.errors import DataError


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Exit with status 2 after an error of data, weights or files; other errors keep their traceback."""
    try:
        yield
    except (DataError, FacemotionError) as error:
        sentence = str(error)
    except OSError as error:
        if error.filename is None:
            raise
        sentence = f"{error.filename} cannot be read or written: {error.strerror}"
    else:
        return
    print(f"{sentence.rstrip('.')}.", file=sys.stderr)
    sys.exit(2)
