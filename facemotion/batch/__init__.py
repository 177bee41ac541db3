"""Any number of pictures -> Parquet files, on Ray Data: one machine or a cluster, folders or buckets.

    from facemotion import batch

    report = batch.run("photos", "faces")

What is to be done is listed once and cut into parts of fixed numbers; a part becomes one file, whole or not at all. A
run that was killed goes on with the parts that are missing. Needs `pip install 'facemotion[batch]'`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facemotion.batch.job import Progress as Progress
    from facemotion.batch.job import Report as Report
    from facemotion.batch.job import run as run

__all__ = ["Progress", "Report", "run"]


def __getattr__(name: str) -> Any:
    """The names are resolved on first use, because without the extra their files cannot be imported."""
    if name not in __all__:
        raise AttributeError(f"module 'facemotion.batch' has no attribute {name!r}")
    from facemotion.batch import cluster  # noqa: PLC0415

    cluster.check_installed()
    return getattr(import_module("facemotion.batch.job"), name)
