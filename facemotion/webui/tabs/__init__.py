"""The tabs of the page, a file for each."""

from __future__ import annotations

from typing import Any

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
"""Options of events that show no progress and are no endpoints."""

Update = dict[Any, Any]
"""New values by component."""
