"""`make fuzz`: coverage-guided mutation of pictures until the time is over; what breaks the rule is kept as a case.

    python -m tests.security.fuzz SECONDS

Each finding is a file in tests/security/fuzz/cases, which the tests replay from then on; those that trip at the same
place count as one. tests/security/fuzz/README.md says more. Needs requirements-fuzz.txt.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import traceback
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["facemotion", "PIL"]):
    import facemotion.images  # noqa: F401 - imported here, so that it is instrumented

from tests.security.fuzz.oracle import CASES, check
from tests.security.fuzz.seeds import repaired, seeds
from tests.support.media.bad_inputs import FILES

MAX_BYTES = 6000
HANGS_S, PEAK_MB = 120, 500  # for one file of MAX_BYTES; libFuzzer ends the run beyond them, and keeps the file
BASE_MB = 150  # of the interpreter, with what it has imported, and of the fuzzer's own notes

_found: set[str] = set()


def one(data: bytes) -> None:
    """Keeps what breaks the rule, once for each place where it does, and goes on."""
    try:
        check(data)
    except Exception as error:
        place = "".join(traceback.format_exception(error)).splitlines()
        signature = f"{type(error).__name__}: {error}"[:200]
        if signature not in _found:
            _found.add(signature)
            CASES.mkdir(exist_ok=True)
            name = f"found-{hashlib.sha256(data).hexdigest()[:12]}"
            (CASES / name).write_bytes(data)
            print(f"FOUND {name}: {signature}", *place[-12:], sep="\n", file=sys.stderr)


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """libFuzzer's own mutation; of every four files three have their checksums repaired."""
    mutated: bytes = atheris.Mutate(data, len(data) or 1)
    return mutated if seed % 4 == 0 else repaired(mutated)[:max_size]


def write_seeds(folder: Path) -> None:
    small = {str(case).replace("/", "_"): case.make for case in FILES if case.row not in (10, 11, 13, 20)}
    files = seeds() | {name: make() for name, make in small.items()}
    for name, data in files.items():
        if len(data) <= MAX_BYTES:
            (folder / name).write_bytes(data)


def main() -> None:
    warnings.simplefilter("ignore")  # Pillow warns of what it finds odd; what counts is what comes out
    with tempfile.TemporaryDirectory() as folder:
        write_seeds(Path(folder))
        options = [
            f"-max_total_time={sys.argv[1]}",
            f"-max_len={MAX_BYTES}",
            f"-timeout={HANGS_S}",
            f"-report_slow_units={HANGS_S}",
            f"-rss_limit_mb={BASE_MB + PEAK_MB}",
            f"-artifact_prefix={CASES}/",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *options, folder], one, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
