"""How fast it is, on this machine: every stage, start-up, memory, cameras, and on request others beside it.

    python -m benchmarks.speed                   # `make bench`: about three minutes; a table in Markdown
    python -m benchmarks.speed --write           # also benchmarks/reports/speed-<version>.{md,json,png}
    python -m benchmarks.speed --peers           # also beside `fer` and this project of before; see benchmarks/peers.py

Other programs on the machine spoil the numbers. Nothing here fails when it is slow.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import facemotion
from benchmarks import answer, peers, speed_report, stages
from benchmarks.timing import machine

REPORTS = Path(__file__).resolve().parent / "reports"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the report of this version in benchmarks/reports")
    parser.add_argument("--peers", action="store_true", help="install the peers, and measure them in turn with this")
    options = parser.parse_args()
    file = REPORTS / f"speed-{facemotion.__version__}.json"
    found: dict[str, Any] = {"version": facemotion.__version__, "machine": machine()}
    found |= {"app": answer.measure(), "stages": stages.measure()}
    if options.peers:
        found["peers"] = peers.measure()
    elif file.exists() and "peers" in (before := json.loads(file.read_text("utf-8"))):
        found["peers"] = before["peers"]  # they take longer, and tell when they were measured
    text = speed_report.as_markdown(found)
    print(text)
    if options.write:
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        file.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
        speed_report.draw(found, file.with_suffix(".png"))


if __name__ == "__main__":
    main()
