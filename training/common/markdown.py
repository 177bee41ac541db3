"""Markdown tables, and reports filled into Jinja2 templates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int | None = None) -> str:
    """A table that ends with a line break; columns from `numbers_from` on are aligned to the right."""
    first_number = len(head) if numbers_from is None else numbers_from
    rule = ["---" if column < first_number else "---:" for column in range(len(head))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))


def fill(template: Path, **values: Any) -> str:
    """Fill a Jinja2 template with the values and `table`; of several empty lines in a row a single one stays."""
    options = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    # Markdown: there is no HTML to escape.
    environment = jinja2.Environment(**options)  # type: ignore[arg-type]  # nosec B701
    text = environment.from_string(template.read_text(encoding="utf-8")).render(values, table=table)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
