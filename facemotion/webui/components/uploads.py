"""Upload components that use our own decoders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ImageData, ListFiles

from facemotion import images
from facemotion.errors import MissingInput
from facemotion.webui.gradio_patches.type_stubs import WithoutStub

_EXAMPLE: dict[str, Any] = {"path": "photo.jpg", "meta": {"_type": "gradio.FileData"}, "orig_name": "photo.jpg"}


def present(path: str) -> str:
    """The path of an upload.

    Raises:
        MissingInput: it was deleted after its time, while the page stayed open.
    """
    if not Path(path).exists():
        raise MissingInput("This file is not here any more: uploads are deleted within the hour. Please add it again.")
    return path


class PhotoInput(gr.Image, metaclass=WithoutStub):
    """`gr.Image` as an input, decoded by `images.load_picture`: upright, on white, of bounded size.

    Handlers receive an `images.Picture`, or None when there is no photo.
    """

    def get_block_name(self) -> str:
        """Name of the front-end component."""
        return "image"

    def preprocess(self, payload: ImageData | None) -> images.Picture | None:  # type: ignore[override]
        """Decode an upload or a `data:` URL.

        Raises:
            InputError: it is no picture that can be analysed.
        """
        if payload is None:
            return None
        in_url = payload.url is not None and payload.url.startswith("data:")
        return images.load_picture(payload.url if in_url else payload.path and present(payload.path))

    def example_payload(self) -> dict[str, Any]:
        """Example argument on the API page; Gradio's own example is a web address, which is refused here."""
        return _EXAMPLE

    def example_value(self) -> str:
        """Example value on the API page."""
        return str(_EXAMPLE["path"])


class _FileInput(gr.File, metaclass=WithoutStub):
    """`gr.File` without the empty temporary file that it leaves for each upload."""

    example: dict[str, Any] = _EXAMPLE

    def get_block_name(self) -> str:
        """Name of the front-end component."""
        return "file"

    def example_payload(self) -> Any:
        """As in `PhotoInput`."""
        return self.example

    def example_value(self) -> Any:
        """As in `PhotoInput`."""
        return str(self.example["path"])


class PhotosInput(_FileInput):
    """`gr.File` for several photos; handlers receive their paths."""

    def preprocess(self, payload: ListFiles | FileData | None) -> list[str]:
        """The paths in the order of upload."""
        if payload is None:
            return []
        return [file.path for file in (payload.root if isinstance(payload, ListFiles) else [payload])]

    def example_payload(self) -> Any:
        """As in `PhotoInput`."""
        return [self.example]

    def example_value(self) -> Any:
        """As in `PhotoInput`."""
        return [super().example_value()]


class VideoInput(_FileInput):
    """`gr.File` for a video; handlers receive its path, or None. `gr.Video` would have FFmpeg guess the format."""

    example = _EXAMPLE | {"path": "video.mp4", "orig_name": "video.mp4"}

    def preprocess(self, payload: ListFiles | FileData | None) -> str | None:
        """The path of the upload."""
        file = payload.root[0] if isinstance(payload, ListFiles) and payload.root else payload
        return file.path if isinstance(file, FileData) else None
