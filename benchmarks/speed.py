"""How fast it is, on this machine: every stage, start-up, memory, cameras, and on request others beside it.

    python -m benchmarks.speed                   # `make bench`: about three minutes; a table in Markdown
    python -m benchmarks.speed --write           # also benchmarks/reports/speed-<version>.{md,json,png}
    python -m benchmarks.speed --peers           # also beside `fer` and this project of before; see benchmarks/peers.py
    python -m benchmarks.speed --only peers      # one part alone; the report keeps what it has of the others

Other programs on the machine spoil the numbers. Nothing here fails when it is slow.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import facemotion
from benchmarks import answer, peers, speed_report, stages
from benchmarks.timing import machine

REPORTS = Path(__file__).resolve().parent / "reports"
PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "app": answer.measure,
    "stages": stages.measure,
    "peers": peers.measure,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the report of this version in benchmarks/reports")
    parser.add_argument("--peers", action="store_true", help="install the peers, and measure them in turn with this")
    parser.add_argument("--only", choices=PARTS, help="measure one part; the others are those of the report")
    options = parser.parse_args()
    file = REPORTS / f"speed-{facemotion.__version__}.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    found |= {"version": facemotion.__version__, "machine": machine()}
    chosen = [options.only] if options.only else ["app", "stages", *(["peers"] if options.peers else [])]
    found |= {part: PARTS[part]() for part in chosen}
    if missing := [part for part in ("app", "stages") if part not in found]:
        raise SystemExit(f"There is no report to take the rest from: measure {' and '.join(missing)} too.")
    text = speed_report.as_markdown(found)
    print(text)
    if options.write:
        write(found, text, file)


def write(found: dict[str, Any], text: str, file: Path) -> None:
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    file.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    speed_report.draw(found, file.with_suffix(".png"))


if __name__ == "__main__":
    main()
