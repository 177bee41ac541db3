"""Gradio as it is, or changed by us, in a process of its own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATCHED = sys.argv[1:] == ["patched"]
FOLDER = Path(tempfile.mkdtemp(prefix="gradio-harms-"))
os.environ["GRADIO_TEMP_DIR"] = str(FOLDER / "uploads")
os.environ["FACEMOTION_CLEAN_EVERY_S"] = os.environ["FACEMOTION_STREAM_IDLE_S"] = "1"
SECRET = "Zanzibar"  # pragma: allowlist secret

parsed = Counter[str]()  # by file name, what was compiled from source text


def count_sources(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "compile":
        parsed[str(arguments[1])] += 1


sys.addaudithook(count_sources)
if PATCHED:
    from facemotion.webui import build_page as _build_page  # noqa: F401 - imports gradio as the app does
import gradio as gr  # noqa: E402

PARSED_AT_IMPORT = parsed["<unknown>"]  # the name that `ast.parse` gives
Blocks: type[gr.Blocks] = gr.Blocks
if PATCHED:
    from facemotion.webui.gradio_patches import session_cleanup
    from facemotion.webui.gradio_patches.install import install
    from facemotion.webui.gradio_patches.public_blocks import PublicBlocks

    Blocks = PublicBlocks
    session_cleanup.SWEEP_EVERY_S = 0.2
    session_cleanup.UNCLAIMED_S = session_cleanup.CLOSED_S = 1.0


@contextmanager
def page() -> Iterator[Any]:
    """A page to be filled; it gets its queue, and our changes, when it is left."""
    with Blocks(analytics_enabled=False) as blocks:
        yield blocks
    blocks.queue()
    if PATCHED:
        install(blocks)
