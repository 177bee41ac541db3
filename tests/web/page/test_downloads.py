"""Downloads of the Image tab belong to the photo that is shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from facemotion.errors import MissingInput
from facemotion.faces import Analysis
from facemotion.images import Picture
from facemotion.webui.components import downloads
from facemotion.webui.components.image_size import fit_within
from facemotion.webui.tabs.image import SHOWN_SIDE, PhotoResult


@pytest.mark.parametrize("side", [300, SHOWN_SIDE + 700])
def test_the_picture_of_another_photo_is_not_downloaded(side: int, tmp_path: Path) -> None:
    def photo(seed: int) -> NDArray[np.uint8]:
        return np.random.default_rng(seed).integers(0, 256, (side - 100, side, 3), np.uint8)

    analysis = Analysis(side, side - 100, (side, side - 100))
    shown = PhotoResult(fit_within(photo(1), SHOWN_SIDE), analysis, (), (), None)
    button = SimpleNamespace(GRADIO_CACHE=str(tmp_path))
    file = downloads._picture_file(button, Picture(photo(1), (side, side - 100)), shown, True)  # type: ignore[arg-type]
    assert Path(file).read_bytes().startswith(b"\xff\xd8\xff")
    with pytest.raises(MissingInput, match="just been changed"):  # of the same camera, so of the same size
        downloads._picture_file(button, Picture(photo(2), (side, side - 100)), shown, True)  # type: ignore[arg-type]
