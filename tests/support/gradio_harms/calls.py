"""Faults that are seen without a server."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import resource
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio.to_thread
import gradio as gr
import gradio.mcp
from gradio import http_server, networking, processing_utils, route_utils
from gradio.component_meta import ComponentMeta
from gradio.queueing import Queue
from gradio.state_holder import StateHolder
from PIL import Image
from python_multipart.exceptions import FormParserError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect

from facemotion.errors import FacemotionError
from tests.support.gradio_harms.environment import FOLDER, PARSED_AT_IMPORT, PATCHED, SECRET, page

HARMS: dict[str, Callable[[], bool]] = {}


class Empty(BaseHTTPRequestHandler):
    """Answers with nothing."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def harm(function: Callable[[], bool]) -> Callable[[], bool]:
    HARMS[function.__name__] = function
    return function


def process(blocks: Any, *inputs: Any) -> tuple[list[Any], Exception | None]:
    """The outputs of the page's first function, or how it failed."""
    try:
        return asyncio.run(blocks.process_api(0, list(inputs)))["data"], None
    except Exception as error:
        return [], error


@harm
def sources_are_parsed_at_import() -> bool:
    return PARSED_AT_IMPORT > 20


@harm
def stubs_are_written_beside_components() -> bool:
    ours, gradios = "facemotion.webui.gradio_patches.type_stubs", "gradio.component_meta"
    home, kind = (ours, "WithoutStub") if PATCHED else (gradios, "ComponentMeta")
    head = f"import gradio as gr\nfrom {home} import {kind}\n\n\n"
    (FOLDER / "own_component.py").write_text(f"{head}class Own(gr.Image, metaclass={kind}):\n    pass\n")
    sys.path.insert(0, str(FOLDER))
    __import__("own_component")
    assert isinstance(sys.modules["own_component"].Own, ComponentMeta)
    return (FOLDER / "own_component.pyi").exists()


@harm
def files_of_the_machine_are_opened() -> bool:
    secret = FOLDER / "secret.png"
    Image.new("L", (9, 9)).save(secret)
    with page() as blocks:
        image, size = gr.Image(), gr.JSON()
        gr.Button().click(lambda pixels: pixels.shape, image, size)
    return process(blocks, {"path": str(secret)})[1] is None  # it lacks the mark by which Gradio knows a file


@harm
def arguments_with_defaults_must_be_given() -> bool:
    with page() as blocks:
        first, second = gr.Textbox(), gr.Number(2)
        gr.Button().click(lambda text, number: f"{text}{number}", [first, second], first)
    return process(blocks, "a")[0] != ["a2"]


@harm
def an_example_that_was_not_chosen_is_an_unknown_error() -> bool:
    with page() as blocks:
        gr.Examples([["a"], ["b"]], gr.Textbox())
    return getattr(process(blocks, None)[1], "title", None) != "missing"


@harm
def callers_get_the_text_of_unknown_errors() -> bool:
    def fail(text: str) -> str:
        raise ValueError(text)

    with page() as blocks:
        text = gr.Textbox()
        gr.Button().click(fail, text, text)
    return SECRET in str(process(blocks, SECRET)[1])


@harm
def long_session_names_are_kept() -> bool:
    with page() as blocks:
        gr.Textbox()
    holder = StateHolder()
    holder.set_blocks(blocks)
    try:
        _ = holder["s" * 10_000]
    except Exception:
        return False
    return True


@harm
def results_that_somebody_waits_for_are_dropped() -> bool:
    with page() as blocks:
        gr.Textbox()
    queue: Any = blocks._queue
    queue.event_ids_to_events["1"] = SimpleNamespace(session_hash="waiting")
    for session in ("waiting", *map(str, range(2000))):
        queue.pending_messages_per_session[session] = None
    return "waiting" not in queue.pending_messages_per_session


@harm
def a_task_is_left_for_each_frame_of_a_stream() -> bool:
    async def wait() -> int:
        event: Any = SimpleNamespace(signal=asyncio.Event(), run_time=0)
        event.signal.set()
        wait_for_signal: Any = Queue.wait_for_event_or_timeout
        assert await wait_for_signal(event, 60) == "signal"
        return len(asyncio.all_tasks()) - 1

    with page():
        gr.Textbox()
    return asyncio.run(wait()) > 0


@contextmanager
def small_disk() -> Iterator[None]:
    """No file can grow beyond a thousand bytes."""
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1][1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before[1])
        signal.signal(signal.SIGXFSZ, before[0])


def files_after(name: str, write: Callable[[str], Any]) -> list[Path]:
    """What a write leaves in a folder of that name, on a disk that is too small."""
    folder = FOLDER / name
    try:
        with small_disk():
            write(str(folder))
    except OSError:
        return [file for file in folder.rglob("*") if file.is_file()]
    raise AssertionError("it was written")


@harm
def half_a_result_is_left_on_a_full_disk() -> bool:
    save: Any = processing_utils.save_bytes_to_cache
    return bool(files_after("bytes", lambda folder: save(os.urandom(9000), "a.csv", folder)))


@harm
def half_an_image_is_left_on_a_full_disk() -> bool:
    image, save = Image.frombytes("L", (99, 99), os.urandom(9801)), processing_utils.save_pil_to_cache
    return bool(files_after("images", lambda folder: save(image, folder, format="png")))


def upload(
    name: str, *chunks: bytes | Exception, watched: bool = False, boundary: str = "line"
) -> tuple[Any, list[Path], Any]:
    """How the reading of an upload ends, which files it leaves, and its watched progress."""
    folder, progress = FOLDER / name, route_utils.FileUploadProgress() if watched else None
    folder.mkdir()

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    headers = Headers({"content-type": f"multipart/form-data; boundary={boundary}"})
    options: dict[str, Any] = {"upload_dir": folder, "upload_id": "a" if watched else None}
    options |= {"upload_progress": progress, "max_file_size": 300_000_000}
    parser: Any = route_utils.GradioMultiPartParser(headers, stream(), **options)  # type: ignore[arg-type]
    outcome: Any = None
    try:
        outcome = asyncio.run(parser.parse())
    except Exception as error:
        outcome = error
    return outcome, list(folder.iterdir()), progress


def part(head: str, content: bytes) -> bytes:
    return b"--line\r\nContent-Disposition: form-data; name=" + head.encode() + b"\r\n\r\n" + content + b"\r\n--line--"


FILE = '"files"; filename="a.jpg"'


@harm
def half_an_upload_is_left() -> bool:
    return bool(upload("half", part(FILE, bytes(9000))[:5000], ClientDisconnect())[1])


@harm
def the_progress_of_a_failed_upload_is_kept() -> bool:
    return bool(upload("progress", part(FILE, bytes(9000))[:5000], ClientDisconnect(), watched=True)[2]._statuses)


@harm
def an_upload_may_hold_other_things_than_files() -> bool:
    return not isinstance(upload("fields", part('"note"', b"a" * 9000))[0], MultiPartException)


@harm
def an_upload_of_no_form_is_a_failure_of_the_server() -> bool:
    return isinstance(upload("junk", b"", boundary="x" * 5000)[0], FormParserError)


@harm
def photos_may_be_as_large_as_videos() -> bool:
    return not isinstance(upload("large", part(FILE, bytes(60_000_000)))[0], MultiPartException)


def mcp_server() -> Any:
    """With a tool, and an endpoint that is marked as none."""

    def hidden(text: str) -> str:
        return text

    hidden._mcp_type = "none"  # type: ignore[attr-defined]
    with page() as blocks:
        text = gr.Textbox()
        gr.Button().click(lambda text: text, text, text, api_name="tool")
        gr.Button().click(hidden, text, text, api_name="hidden")
    return gradio.mcp.GradioMCPServer(blocks)


@harm
def functions_that_are_not_tools_can_be_called() -> bool:
    return "hidden" in mcp_server().tool_to_endpoint


@harm
def tools_are_served_as_prompts_and_resources() -> bool:
    server = mcp_server()
    return server.types.GetPromptRequest in server.mcp_server.request_handlers


@harm
def each_waiting_caller_of_a_tool_holds_a_thread() -> bool:
    async def wait() -> float:
        future = concurrent.futures.Future[str]()
        job: Any = SimpleNamespace(future=future, result=future.result)
        task = asyncio.create_task(server._execute_tool_without_progress(job))
        for _ in range(100):
            await asyncio.sleep(0)
        held = anyio.to_thread.current_default_thread_limiter().borrowed_tokens
        future.set_result("done")
        await task
        return held

    server = mcp_server()
    return asyncio.run(wait()) > 0


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """These variables and no `NO_PROXY`."""
    before = dict(os.environ)
    for name in ("no_proxy", "NO_PROXY"):
        os.environ.pop(name, None)
    os.environ.update(values)
    yield
    os.environ.clear()
    os.environ.update(before)


@harm
def a_port_that_was_named_is_replaced() -> bool:
    with page():
        gr.Textbox()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = int(other.getsockname()[1])
        http_server.INITIAL_PORT_VALUE = port  # read by Gradio when it is imported
        try:
            with environment(GRADIO_SERVER_PORT=str(port)):
                _, taken, _, server = http_server.start_server(Starlette(), "127.0.0.1")  # type: ignore[arg-type]
        except FacemotionError:
            return False
        finally:
            http_server.INITIAL_PORT_VALUE = 7860
    server.close()
    return taken != port


@harm
def requests_to_the_own_server_go_to_a_proxy() -> bool:
    with page():
        gr.Textbox()
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with environment(HTTP_PROXY="http://127.0.0.1:9"):  # where nobody listens
            reached = networking.url_ok(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
    return not reached
