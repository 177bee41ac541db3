"""What must hold whatever bytes the decoder is given."""

from __future__ import annotations

import time
import traceback
from pathlib import Path

import facemotion
from facemotion import images
from facemotion.errors import InputError
from tests.support.media.bad_inputs import assert_helpful, assert_picture

OWN_CODE = Path(facemotion.__file__).parent
CASES = Path(__file__).parent / "cases"
SLOWEST_S = 4  # of processor time for a small file; the promise is 2 s, and a fuzzer's instruments take their share


def check(data: bytes) -> None:
    """The bytes are read as a picture, or refused with a sentence that helps; and no line of ours tripped over them.

    `images` calls a file damaged when Pillow's decoders raise whatever they raise; that net must catch none of ours.
    """
    started = time.process_time()
    try:
        assert_picture(images.load(data))
    except InputError as error:
        assert_helpful(error)
        if error.__cause__ is not None:
            place = Path(traceback.extract_tb(error.__cause__.__traceback__)[-1].filename)
            assert OWN_CODE not in place.parents, f"{type(error.__cause__).__name__} in {place.name}"
    assert time.process_time() - started < SLOWEST_S, "too slow"
