"""Upload component for a video that uses our own decoder."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ListFiles

from facemotion.webui.gradio_patches.type_stubs import WithoutStub

_EXAMPLE: dict[str, Any] = {"path": "video.mp4", "meta": {"_type": "gradio.FileData"}, "orig_name": "video.mp4"}


class VideoInput(gr.File, metaclass=WithoutStub):
    """`gr.File` for a single video; handlers receive its path, or None.

    `gr.Video` would have FFmpeg guess the format.
    """

    def get_block_name(self) -> str:
        """Name of the front-end component."""
        return "file"

    def preprocess(self, payload: ListFiles | FileData | None) -> str | None:
        """The path of the upload."""
        file = payload.root[0] if isinstance(payload, ListFiles) and payload.root else payload
        return file.path if isinstance(file, FileData) else None

    def example_payload(self) -> dict[str, Any]:
        """Example argument on the API page; Gradio's own example is a web address, which is refused here."""
        return _EXAMPLE

    def example_value(self) -> str:
        """Example value on the API page."""
        return str(_EXAMPLE["path"])
