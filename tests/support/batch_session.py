"""`facemotion batch`, command after command on a Ray that is started once, in a process of its own.

Starting Ray takes most of the time of a small run. A test that is not about Ray's own start and end shares this one.

    python -m tests.support.batch_session

Each line of standard input holds the arguments of a command as JSON. Standard output answers with a line for each:
its exit status, what it printed, and what it said on standard error.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from facemotion import cli
from facemotion.batch import cluster
from tests.support.batch_runs import QUICK
from tests.support.servers.processes import ROOT

PROCESSORS = 2
# For an S3 on loopback; whoever uses it cannot set them for Ray's processes, which run already.
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


class Session:
    """That process, and the commands in it; `process` for those who wait for what a command does meanwhile."""

    def __init__(self, log: Path) -> None:
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.batch_session"],
                cwd=ROOT,
                env=os.environ | KEYS,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._log = log

    def begin(self, *arguments: str | Path) -> None:
        """Starts a command, with the options that make it quick."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(["batch", *map(str, arguments), *QUICK]) + "\n")
        self.process.stdin.flush()

    def end(self) -> tuple[int, str, str]:
        """The exit status of the command, its standard output and its standard error."""
        assert self.process.stdout is not None
        answer = self.process.stdout.readline()
        assert answer, self._log.read_text(errors="replace")[-3000:]
        status, output, errors = json.loads(answer)
        assert "Traceback" not in errors, errors[-3000:]
        return status, output, errors

    def finish(self, *arguments: str | Path) -> str:
        """The standard output of a command that ends well."""
        self.begin(*arguments)
        status, output, errors = self.end()
        assert status == 0, errors[-3000:]
        return output

    def give_up(self) -> str:
        """The standard error of the command that was begun, which ends early and prints no report."""
        status, output, errors = self.end()
        assert (status, output) == (1, ""), errors[-3000:]
        return errors

    def close(self) -> None:
        """Ends it, and its Ray."""
        self.process.communicate()


def answer(arguments: list[str]) -> tuple[int, str, str]:
    """What became of a command."""
    output, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        try:
            status = cli.main(arguments)
        except Exception:
            status = -1
            traceback.print_exc()
    return status, output.getvalue(), errors.getvalue()


def main() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no answer
    with cluster.started(None, PROCESSORS):
        for line in sys.stdin:
            print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
