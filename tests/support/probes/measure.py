"""What reading each file of a folder takes, in a process of its own with limits.

    python -m tests.support.probes.measure FOLDER

Prints JSON: file name -> [what came of it (a shape, or an error's code), seconds of processor time, MB above what the
process held before]. A file that passes the limits ends its process, and is reported as the signal that ended it.
"""

from __future__ import annotations

import json
import os
import re
import resource
import sys
import time
from pathlib import Path

from facemotion import InputError, images

ROOM_MB = 1000  # of addresses above what the process has: more than may be used, since allocators reserve without using
LIMIT_S = 30  # of processor time


def main(folder: Path) -> None:
    print(json.dumps({path.name: in_a_process(path) for path in sorted(folder.iterdir())}))


def in_a_process(path: Path) -> list[object]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, json.dumps(measured(path)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    status = os.waitpid(child, 0)[1]
    return list(json.loads(text)) if text else [f"signal {status}", 0, 0]


def measured(path: Path) -> list[object]:
    before = megabytes("VmRSS")
    room = int((megabytes("VmSize") + ROOM_MB) * 2**20)
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
    started = time.process_time()
    outcome: object
    try:
        outcome = list(images.load(path.read_text() if path.suffix == ".url" else path).shape)
    except InputError as error:
        outcome = error.code
    return [outcome, time.process_time() - started, megabytes("VmHWM") - before]


def megabytes(name: str) -> float:
    """`name` as in proc(5): VmRSS is what is held, VmHWM the most that was, VmSize all addresses."""
    found = re.search(rf"{name}:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
