"""`gr.Blocks` for a public server: checked inputs, time limits, uniform errors.

As of Gradio 6.31.0, images without the mark of a file are opened from any path, missing arguments are errors although
they have defaults, an example that was not chosen is an internal error, callers get the text of any exception, and a
camera that sends nothing keeps its place until the time limit of streams.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder
from gradio_client.utils import is_file_obj, is_http_url_like, traverse

from facemotion import deadline, settings
from facemotion.errors import ForbiddenSource, MissingInput
from facemotion.webui.gradio_patches import session_cleanup
from facemotion.webui.server.error_messages import OUTSIDE, as_gradio_error

MAX_PATH = 4096  # PATH_MAX of Linux


class PublicBlocks(gr.Blocks):
    """`gr.Blocks` that validates requests and reports every error in our form.

    Every event, the preparation of its inputs included, ends in time, in a result or in what `as_gradio_error` makes of
    the error. Handlers get no file but uploads and no web address. Endpoints may be called with their required
    arguments alone.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._streams = IdleStreams()

    async def process_api(self, block_fn: Any, inputs: list[Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Validate the inputs, then process as `gr.Blocks` does.

        Raises:
            gr.Error: for everything that goes wrong.
        """
        is_generating = False
        try:
            function = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
            refuse_foreign_files(inputs)
            inputs = fill_defaults(function.inputs, inputs)
            check_example(function.inputs, inputs)
            event = self._stream_of(function, kwargs.get("event_id"))
            with deadline.within(settings.REQUEST_SECONDS), self._streams.step(event, bool(inputs and inputs[0])):
                result: dict[str, Any] = await super().process_api(function, inputs, *args, **kwargs)
                is_generating = bool(result.get("is_generating"))
                return result
        except Exception as error:
            raise as_gradio_error(error) from error
        finally:
            if not is_generating:
                session_cleanup.drop_anonymous_state(self, kwargs.get("session_hash"), kwargs.get("event_id"))
            if self._is_unload(block_fn):
                session_cleanup.mark_closed(self, kwargs.get("session_hash"))

    def _is_unload(self, function: Any) -> bool:
        """Whether this is a handler of "unload", which runs when a page is closed."""
        known = self.fns.get(function) if isinstance(function, int) else function
        return any(kind == "unload" for _, kind in getattr(known, "targets", ()))

    def _stream_of(self, function: Any, event_id: str | None) -> Any:
        """Gradio's event, when this is a call of a stream."""
        return self._queue.event_ids_to_events.get(event_id or "") if function.connection == "stream" else None


def refuse_foreign_files(inputs: Any) -> None:
    """Check the files named in a request.

    Gradio would fetch web addresses, and checks only paths with its mark of a file.

    Raises:
        ForbiddenSource: it names a file that was not uploaded to, or made by, this server.
    """
    own = Path(get_upload_folder()).resolve()

    def check(file: dict[str, Any]) -> dict[str, Any]:
        if not _is_inside(file["path"], own):
            raise ForbiddenSource(OUTSIDE)
        refuse_foreign_files([value for key, value in file.items() if key != "path"])
        return file

    traverse(inputs, check, is_file_obj)


def _is_inside(path: str, folder: Path) -> bool:
    """Whether a visitor's `path` lies in `folder`.

    A path of absurd length is not parsed, since that takes time quadratic in its parts.
    """
    if len(path) > MAX_PATH or is_http_url_like(path):
        return False
    try:
        return Path(path).resolve().is_relative_to(folder)
    except (ValueError, OSError):  # a NUL, half a character, a loop of links
        return False


def fill_defaults(components: Sequence[Any], inputs: list[Any]) -> list[Any]:
    """Fill in arguments that REST callers left out with the components' values, as Gradio's clients do."""
    return inputs + [getattr(component, "value", None) for component in components[len(inputs) :]]


def check_example(components: Sequence[Any], inputs: Sequence[Any]) -> None:
    """Check that a choice among example photos names a photo: the handler of `gr.Examples` trips over None.

    Raises:
        MissingInput: no example was chosen.
    """
    chosen = zip(components, inputs, strict=False)
    if any(isinstance(component, gr.Dataset) and value is None for component, value in chosen):
        raise MissingInput("No example was chosen. Please choose one on the page.")


class IdleStreams:
    """Closes camera streams that send no frames.

    Gradio waits for each next frame for `settings.STREAM_SECONDS`, so that a few callers who send nothing could occupy
    all places.
    """

    def __init__(self) -> None:
        self._timers: dict[Any, asyncio.TimerHandle] = {}  # by gradio's event, for `STREAM_IDLE_S` after each frame

    @contextmanager
    def step(self, event: Any, has_frame: bool) -> Iterator[None]:
        """Wrap a call of a stream's handler, in the server's event loop. Without an `event` it does nothing."""
        if has_frame and (timer := self._timers.pop(event, None)):
            timer.cancel()
        yield
        if event is not None and event not in self._timers:
            later = asyncio.get_running_loop().call_later
            self._timers[event] = later(settings.STREAM_IDLE_S, self._close, event)

    def _close(self, event: Any) -> None:
        """Close the stream as Gradio does when its page is closed."""
        del self._timers[event]
        event.run_time = math.inf
        event.closed = True
        event.signal.set()
