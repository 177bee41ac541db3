"""The table of results: a row for each face, and one for a picture without faces or with an error."""

from __future__ import annotations

import os
from typing import Any

import pyarrow
from pyarrow import parquet

from facemotion.faces import EMOTIONS, Analysis

SCHEMA_VERSION = 1
"""Grows when a column is renamed, removed or gets another type; the key `facemotion_schema` in each file's metadata."""

_GROUP_ROWS = 5000  # 12 MB as Python's objects, before they are packed
_TEXT, _NUMBER, _INT = pyarrow.string(), pyarrow.float64(), pyarrow.int32()

SCHEMA = pyarrow.schema(
    [
        ("item", pyarrow.int64()),
        ("path", _TEXT),
        ("time_s", _NUMBER),
        ("width", _INT),
        ("height", _INT),
        ("source_width", _INT),
        ("source_height", _INT),
        ("face", _INT),
        ("x0", _NUMBER),
        ("y0", _NUMBER),
        ("x1", _NUMBER),
        ("y1", _NUMBER),
        ("detection_confidence", _NUMBER),
        ("expression", _TEXT),
        ("confidence", _NUMBER),
        *((name, _NUMBER) for name in EMOTIONS),
        ("uncertain", pyarrow.bool_()),
        ("quality", pyarrow.list_(_TEXT)),
        ("detector", _TEXT),
        ("classifier", _TEXT),
        ("error_code", _TEXT),
        ("error", _TEXT),
    ],
    metadata={"facemotion_schema": str(SCHEMA_VERSION)},
)
"""The columns in order; docs/batch.md explains each."""

Row = dict[str, Any]


def of(item: int, path: str, analysis: Analysis, time_s: float | None = None) -> list[Row]:
    """The rows of one picture, or of one frame of a video.

    Args:
        item: the number of the picture or video in the list.
        path: what it is called there.
        analysis: what was found.
        time_s: of a frame, seconds from the beginning of its video.
    """
    common: Row = dict.fromkeys(SCHEMA.names)
    common |= {"item": item, "path": _shown(path), "time_s": None if time_s is None else round(time_s, 3)}
    common |= {name: analysis.models.get(name) for name in ("detector", "classifier")}
    if analysis.error is not None:
        common |= {"error_code": analysis.error[0], "error": analysis.error[1]}
    if analysis.width:
        size = {"width": analysis.width, "height": analysis.height}
        common |= size | dict(zip(("source_width", "source_height"), analysis.source_size, strict=True))
    faces = [_of_face(face.to_dict()) for face in analysis.faces]
    return [common | face for face in faces] or [common]


def _of_face(face: dict[str, Any]) -> Row:
    kept = {key: face[key] for key in ("detection_confidence", "expression", "confidence", "uncertain", "quality")}
    box = dict(zip(("x0", "y0", "x1", "y1"), face["box"], strict=True))
    return {"face": face["id"], **box, **kept, **face["probabilities"]}


class Writer:
    """A Parquet file in memory: rows are packed a few thousand at a time, so that crowds do not fill the memory."""

    def __init__(self) -> None:
        self._stream = pyarrow.BufferOutputStream()
        self._file = parquet.ParquetWriter(self._stream, SCHEMA, compression="zstd")
        self._waiting: list[Row] = []
        self.count = 0

    def add(self, rows: list[Row]) -> None:
        """Appends rows."""
        self._waiting += rows
        self.count += len(rows)
        if len(self._waiting) >= _GROUP_ROWS:
            self._pack()

    def finish(self) -> bytes:
        """The file's bytes: the same ones for the same rows added in the same portions."""
        self._pack()
        self._file.close()
        return bytes(self._stream.getvalue())

    def _pack(self) -> None:
        if self._waiting:
            self._file.write_table(pyarrow.Table.from_pylist(self._waiting, schema=SCHEMA))
            self._waiting = []


def _shown(path: str) -> str:
    """A name that is no text on this system, as the text that comes closest."""
    return os.fsencode(path).decode("utf-8", "replace")
