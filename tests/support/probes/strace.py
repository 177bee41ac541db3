"""A program run under strace with fresh folders: whom it asks, native libraries included, and what it writes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.support.servers.processes import ROOT

LIMIT_S = 280
# Processes begun by the program too; the kernel stops them at the calls below only, not at each one.
STRACE = ("strace", "-f", "--seccomp-bpf")
CALLS = "network,open,openat,creat,mkdir,mkdirat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,mknod,mknodat"
# No address that the kernel or this machine alone answers on; but a name server on loopback asks others in turn.
ADDRESS = re.compile(r"\b(?:connect|bind|sendto|sendmsg|sendmmsg)\(.*?(\{sa_family=AF_(?!UNSPEC|NETLINK)\w+,[^}]*\})")
HERE = re.compile(r'inet_addr\("127\.|AF_INET6, "::1"|AF_INET6, "::ffff:127\.|AF_UNIX, sun_path=')
NAME_SERVER = re.compile(r"htons\(53\)|systemd/resolve")
PATHS = re.compile(r'(?:\w+<([^>]*)>, )?"((?:[^"\\]|\\.)*)"')
OPENS = re.compile(r"^\d+ +open(?:at)?\(")
FOR_WRITING = re.compile(r"\bO_(?:WRONLY|RDWR|CREAT)\b")
CHANGES = re.compile(r"^\d+ +(?:creat|mkdir|rename|link|symlink|mknod)\w*\(")
# Besides its own folders: devices, semaphores, the clock of libuuid, and the system's list of fonts, which fontconfig
# (matplotlib asks it which fonts there are) keeps up to date for all programs.
NAMED = re.compile(r"/dev/(null|tty|shm/(sem|torch_)[^/]*)|/proc/self/.*|/var/lib/libuuid/.*|(.*/)?\.?fontconfig(/.*)?")


@dataclass(frozen=True)
class Traced:
    """A folder with home/, tmp/ and work/, where a program ran, and what strace wrote of it."""

    folder: Path

    @property
    def log(self) -> list[str]:
        """strace's lines, each with the number of a process."""
        return (self.folder / "strace.txt").read_text(errors="replace").splitlines()

    def asked(self) -> list[str]:
        """The addresses beyond this machine that were connected to, bound or sent to."""
        found = {match[1] for line in self.log for match in [ADDRESS.search(line)] if match}
        return sorted(one for one in found if NAME_SERVER.search(one) or not HERE.search(one))

    def written_elsewhere(self) -> list[str]:
        """What was opened for writing, or created, outside tmp/ and work/; attempts that failed count as well."""
        own = f"{self.folder / 'tmp'}/", f"{self.folder / 'work'}/"
        return sorted(
            {path for path in self._written() if not f"{path}/".startswith(own) and not NAMED.fullmatch(path)}
        )

    def _written(self) -> Iterator[str]:
        for line in self.log:
            if CHANGES.match(line) or (OPENS.match(line) and FOR_WRITING.search(line)):
                for folder, path in PATHS.findall(line):
                    yield os.path.normpath(self.folder / "work" / folder / path)

    def left(self) -> list[Path]:
        """What lies in its home and its folder for temporary files after it has ended."""
        return [path for name in ("home", "tmp") for path in (self.folder / name).rglob("*")]

    def assert_nothing_unasked(self) -> None:
        """Fails with all that left the machine or was left behind; skips where strace could not look."""
        assert self.left() == []
        if reason := missing():
            pytest.skip(reason)
        assert len(self.log) > 10, "strace saw nothing"
        found = {"asked": self.asked(), "written": self.written_elsewhere()}
        assert not any(found.values()), found


@cache
def missing() -> str:
    """Why there is no tracing here, or nothing."""
    if not shutil.which("strace"):
        return "strace is not installed: whom native libraries ask is not looked at (Debian: apt-get install strace)"
    tried = subprocess.run([*STRACE, "-o", "/dev/null", "true"], capture_output=True, text=True, check=False)
    return f"strace may not trace here: {tried.stderr.strip()}" if tried.returncode else ""


@contextmanager
def started(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[Traced, subprocess.Popen[bytes]]]:
    """Starts `python *arguments` in folder/work with fresh folders and no other variable than those given, above all
    no CI, which keeps some libraries quiet; only OMP_NUM_THREADS is passed on. Output goes to folder/output.txt."""
    for name in ("home", "tmp", "work"):
        (folder / name).mkdir(parents=True)
    known = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    known |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    known |= {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}  # for busy machines
    log = [*STRACE, "-y", "-qq", "-s", "96", "-e", f"trace={CALLS}", "-o", str(folder / "strace.txt")]
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(
            [*([] if missing() else log), sys.executable, *arguments],
            cwd=folder / "work",
            env=known | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # a killed strace leaves the program running: both are ended by their group
        )
    try:
        yield Traced(folder), process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def run(folder: Path, *arguments: str, **environment: str) -> Traced:
    """Runs `python *arguments` to its end, which must be a good one."""
    with started(folder, *arguments, **environment) as (traced, process):
        code = process.wait(LIMIT_S)
    assert code == 0, (folder / "output.txt").read_text(errors="replace")[-4000:]
    return traced


def terminate(traced: Traced, process: subprocess.Popen[bytes]) -> None:
    """SIGTERM to the program, not to strace, which would pass nothing on; waits for both."""
    program = process.pid if missing() else int(traced.log[0].split()[0])
    os.kill(program, signal.SIGTERM)
    process.wait(LIMIT_S)
