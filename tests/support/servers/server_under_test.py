"""app.py as it is, and beside it, on a port of its own, what only tests may ask: what the process holds.

    python -m tests.support.servers.server_under_test CONTROL_PORT

The models fail on pictures that carry a mark (see faults.py beside this). GET / on the control port answers with JSON:
"containers" (see census.py) and "process" (memory, threads, tasks, open files, temporary files). GET /process answers
with the latter alone, and GET /memory with its first number, which costs the server least. GET /?analysis_s=S makes
every analysis of a visitor last S seconds longer, those at work too; sweep_s and closed_s say how often leftovers are
looked for, and when the state of a closed page is one.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import runpy
import sys
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from facemotion import Pipeline
from facemotion.pipeline import Pipeline as RealPipeline
from tests.support.servers import faults
from tests.support.servers.census import census

delay_s = {"analysis_s": 0.0}
analyses: list[float] = []  # when those at work began


class Control(BaseHTTPRequestHandler):
    """Answers about the process that it runs in."""

    def do_GET(self) -> None:
        wishes = {name: float(values[0]) for name, values in parse_qs(urlsplit(self.path).query).items()}
        set_up(wishes)
        answers = {"/": held, "/process": lambda: process(page()), "/memory": resident}
        answer = json.dumps({} if wishes else answers[urlsplit(self.path).path]()).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        pass


def set_up(wishes: dict[str, float]) -> None:
    # Not imported above: gradio must not be, before app.py.
    leftovers = sys.modules["facemotion.webui.gradio_patches.session_cleanup"]
    for name, value in wishes.items():
        if name == "analysis_s":
            delay_s[name] = value
        else:
            setattr(leftovers, {"sweep_s": "SWEEP_EVERY_S", "closed_s": "CLOSED_S"}[name], value)


def held() -> dict[str, dict[str, int]]:
    return {"containers": census({"page": page(), "app": page().app}), "process": process(page())}


def page() -> Any:
    return sys.modules["__main__"].demo  # type: ignore[attr-defined]


def process(page: Any) -> dict[str, int]:
    gc.collect()
    folder = Path(os.environ["TMPDIR"])
    files = [file for file in folder.rglob("*") if file.is_file()]
    memory = resident()
    ctypes.CDLL(None).malloc_trim(0)
    return {
        "memory_bytes": memory,
        "memory_trimmed_bytes": resident(),
        "threads": threading.active_count(),
        "tasks": len(asyncio.all_tasks(loop())),
        "open_files": len(list(Path("/proc/self/fd").iterdir())),
        "temporary_files": len(files),
        "temporary_bytes": sum(file.stat().st_size for file in files if file.exists()),
        "analyses": len(analyses),
        "queued": len(page._queue),
        "working": page._queue.get_active_worker_count(),
        "cameras": getattr(page._queue.event_queue_per_concurrency_id.get("webcam"), "current_concurrency", 0),
    }


def resident() -> int:
    """Bytes of memory in use, without those of files that are only mapped."""
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in status if line.startswith("RssAnon")).split()[1])


@cache
def loop() -> asyncio.AbstractEventLoop:
    """The one that serves."""
    return next(one for one in gc.get_objects() if isinstance(one, asyncio.AbstractEventLoop) and one.is_running())


def slowed(pipeline: Pipeline) -> Pipeline:
    analyze = pipeline.analyze

    def slow(*args: Any, **kwargs: Any) -> Any:
        if "warm_up" in threading.current_thread().name:  # of app.py; nobody waits for it
            return analyze(*args, **kwargs)
        started = time.monotonic()
        analyses.append(started)
        while time.monotonic() < started + delay_s["analysis_s"]:
            time.sleep(0.02)
        try:
            return analyze(*args, **kwargs)
        finally:
            analyses.remove(started)

    pipeline.analyze = slow  # type: ignore[method-assign]
    return pipeline


def main() -> None:
    build = RealPipeline.__init__

    def built(self: RealPipeline, *parts: Any) -> None:  # the one for photos, and the camera's
        build(self, *parts)
        slowed(faults.install(self))

    RealPipeline.__init__ = built  # type: ignore[assignment,method-assign]
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Control)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    runpy.run_path("app.py", run_name="__main__")


if __name__ == "__main__":
    main()
