"""The page's inputs for photos: our decoder behind gradio's component, and files in the order they were given."""

from __future__ import annotations

from pathlib import Path

import pytest
from gradio.data_classes import FileData, ImageData, ListFiles

from facemotion import errors
from facemotion.webui.components.uploads import PhotoInput, PhotosInput

# gradio makes event loops while it builds components, and leaves them to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def test_photo_input_decodes_with_our_decoder(examples: Path) -> None:
    path = examples / "grace_hopper.jpg"
    read = PhotoInput().preprocess(ImageData(path=str(path)))
    assert read is not None
    assert read.pixels.shape == (600, 512, 3)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (ImageData(url="data:image/png;base64,AAAA"), errors.NotAnImage),
        (ImageData(url="data:image/png;base64,*"), errors.CorruptImage),
        (ImageData(url="https://example.org/a.png"), errors.MissingInput),
    ],
)
def test_photo_input_refuses(payload: ImageData, error: type[Exception]) -> None:
    with pytest.raises(error):
        PhotoInput().preprocess(payload)


def test_photo_input_without_a_photo_is_none() -> None:
    assert PhotoInput().preprocess(None) is None


def test_photos_input_hands_over_paths_in_order() -> None:
    files = ListFiles(root=[FileData(path="/b.jpg"), FileData(path="/a.jpg")])
    assert PhotosInput(file_count="multiple").preprocess(files) == ["/b.jpg", "/a.jpg"]
    assert PhotosInput(file_count="multiple").preprocess(None) == []
