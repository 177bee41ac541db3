"""Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int | None = None) -> str:
    """A table that ends with a line break; columns from `numbers_from` on are aligned to the right."""
    first_number = len(head) if numbers_from is None else numbers_from
    rule = ["---" if column < first_number else "---:" for column in range(len(head))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, rule, *rows))
