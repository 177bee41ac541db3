"""A server with a census in a process of its own, for tests and for the load benchmark."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.servers.census import growth
from tests.support.servers.processes import ROOT, free_port, server_environment, stop, wait_until_it_answers

SWEPT_S = 5  # hurried sweeps have been by
PATIENCE_S = 180  # a busy machine does late what an idle one does at once


@dataclass(frozen=True)
class Server:
    """A running server: its address, its control port's, its log, and the folder of all its temporary files."""

    url: str
    control: str
    log: Path
    folder: Path

    def held(self) -> dict[str, Any]:
        """What it holds now; see `tests.support.servers.server_under_test`."""
        return ask(self.control)

    def process(self) -> dict[str, int]:
        """Memory, threads, temporary files and so on."""
        numbers: dict[str, int] = ask(f"{self.control}/process")
        return numbers

    def memory(self) -> int:
        """Bytes in use; asking costs the server little."""
        return int(ask(f"{self.control}/memory"))

    def until(self, true_of: Callable[[dict[str, int]], bool], patience_s: float = PATIENCE_S) -> dict[str, int]:
        """The process's numbers once they fulfil a condition; fails with them if they do not."""
        deadline = time.monotonic() + patience_s
        while not true_of(numbers := self.process()):
            assert time.monotonic() < deadline, f"still {numbers}"
            time.sleep(0.2)
        return numbers

    def slow_down(self, seconds: float) -> None:
        """Every analysis takes so much longer, those at work too: 0 lets them go."""
        ask(f"{self.control}/?analysis_s={seconds}")

    def hurry(self) -> None:
        """Leftovers are looked for twice a second from now on, and the state of a closed page is one at once."""
        ask(f"{self.control}/?sweep_s=0.5&closed_s=0")

    def settled(
        self, before: dict[str, Any] | None = None, patience_s: float = PATIENCE_S, by_age: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """What it holds once nothing is at work and nothing has grown since `before`; at the latest when the patience
        is over."""
        self.until(lambda numbers: not (numbers["queued"] or numbers["working"] or numbers["cameras"]), patience_s)
        deadline = time.monotonic() + (patience_s if before else SWEPT_S)
        while True:
            held: dict[str, Any] = self.held()
            if not grown(before, held, by_age) or time.monotonic() > deadline:
                return held
            time.sleep(0.5)

    def files(self) -> list[Path]:
        """All its temporary files."""
        return [file for file in self.folder.rglob("*") if file.is_file()]

    def bytes_of_files(self) -> int:
        """Of all its temporary files; those that go meanwhile don't count."""
        sizes = 0
        for file in self.files():
            with suppress(FileNotFoundError):
                sizes += file.stat().st_size
        return sizes


def grown(before: dict[str, Any] | None, after: dict[str, Any], by_age: tuple[str, ...] = ()) -> dict[str, Any]:
    """What is larger: containers, and tasks, open files and temporary files, but those that shrink only with time.
    Without `before`, entries of sessions."""
    if before is None:
        return {path: size for path, size in after["containers"].items() if size and path.endswith("_session")}
    numbers = [
        {name: held["process"][name] for name in ("tasks", "open_files", "temporary_files")} for held in (before, after)
    ]
    more = growth(before["containers"], after["containers"]) | growth(*numbers)
    return {path: sizes for path, sizes in more.items() if not path.startswith(by_age)} if by_age else more


def ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=120) as answer:
        return json.load(answer)


@contextmanager
def server(folder: Path, **environment: str) -> Iterator[Server]:
    """Starts one on free ports, its temporary files in `folder`/tmp, and ends it."""
    port, control = free_port(), free_port()
    temporary, log = folder / "tmp", folder / "log.txt"
    temporary.mkdir()
    settings = server_environment(port, folder) | {"TMPDIR": str(temporary), "GRADIO_TEMP_DIR": str(temporary)}
    settings |= environment
    command = [sys.executable, "-m", "tests.support.servers.server_under_test", str(control)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=settings, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_it_answers(process, url, log)
        yield Server(url, f"http://127.0.0.1:{control}", log, Path(settings["GRADIO_TEMP_DIR"]))
    finally:
        stop(process)
