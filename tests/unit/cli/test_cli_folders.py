"""Which files of a folder the command line takes for pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from facemotion.cli import photos
from facemotion.pipeline import Pipeline
from tests.support.media.crafted import encoded, scene
from tests.unit.cli.test_cli import FakePipeline

NAMES = {
    "CANON.HIF": "HEIF",
    "b.jpe": "JPEG",
    "c.heics": "HEIF",
    "d.dib": "BMP",
    "e.tmp": "PNG",  # no name of a picture, but one all the same
    "IMG-20261128-WA0001": "JPEG",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_found_under_any_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = FakePipeline()
    monkeypatch.setattr(Pipeline, "from_pretrained", lambda **names: pipeline)
    (tmp_path / name).write_bytes(encoded(scene(), NAMES[name]))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "clip.mp4").write_bytes(b"\0\0\0\x18ftypisom\0\0\2\0isomiso2mp41" + bytes(500))
    (tmp_path / "empty.dat").touch()
    assert photos.main([str(tmp_path)]) == 0
    assert [call[0] for call in pipeline.calls] == [name]


def test_a_kind_that_is_not_read_is_named_when_its_name_is_a_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Pipeline, "from_pretrained", lambda **names: FakePipeline())
    Image.new("RGB", (40, 40)).save(tmp_path / "scan.tiff")
    assert photos.main([str(tmp_path)]) == 1
    assert "scan.tiff: This seems to be a TIFF" in capsys.readouterr().err
