"""`python -m facemotion video`: what it writes, prints and refuses."""

from __future__ import annotations

import contextlib
import json
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from facemotion import Pipeline, images
from facemotion.cli import photos
from facemotion.video import Result, annotate_video
from facemotion.webui.html import timeline
from facemotion.webui.html import video as video_words
from tests.support.media.synthetic_videos import Recipe, write
from tests.unit.video.test_video import PLAIN, Finder


@pytest.fixture(autouse=True)
def finder(monkeypatch: pytest.MonkeyPatch) -> Finder:
    found = Finder()
    found.notices = ()
    monkeypatch.setattr(Pipeline, "from_pretrained", lambda **names: found)
    return found


def test_writes_the_video_and_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.mp4", PLAIN)
    target, table = tmp_path / "out.mp4", tmp_path / "out.csv"
    assert photos.main(["video", str(source), "--out", str(target), "--csv", str(table)]) == 0
    printed = capsys.readouterr().out
    assert "38 frames" in printed and "1 " in printed and "happy 1." in printed
    assert target.stat().st_size > 1000 and table.read_text(encoding="utf-8").startswith("\ufefftime_s,id,")


def test_prints_nothing_but_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write(tmp_path / "in.mp4", PLAIN, Recipe(seconds=0.4))
    assert photos.main(["video", str(source), "--out", str(tmp_path / "out.mp4"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["video"]["frames"] == 10 and document["people"][0]["id"] == 1


def test_says_what_is_wrong_with_the_video(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in.mp4").write_text("no video")
    assert photos.main(["video", str(tmp_path / "in.mp4"), "--out", str(tmp_path / "out.mp4")]) == 1
    assert "videos are read here" in capsys.readouterr().err
    assert not (tmp_path / "out.mp4").exists()


def test_a_ctrl_c_whose_exception_is_lost_stops_all_the_same(tmp_path: Path, finder: Finder) -> None:
    source, looked = write(tmp_path / "in.mp4", PLAIN), finder.analyze

    def interrupted(*given: object, **options: object) -> object:
        with contextlib.suppress(KeyboardInterrupt):  # as Python does where an object ends
            signal.raise_signal(signal.SIGINT)
        return looked(*given, **options)

    finder.analyze = interrupted
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without it
    assert photos.main(["video", str(source), "--out", str(tmp_path / "out.mp4")]) == 130
    assert [file.name for file in tmp_path.iterdir()] == ["in.mp4"]


@pytest.mark.parametrize("out", ["in.mp4", "out.avi", "nowhere/out.mp4", "folder.mp4"])
def test_refuses_outputs_that_make_no_sense(tmp_path: Path, out: str) -> None:
    write(tmp_path / "in.mp4", PLAIN, Recipe(seconds=0.2))
    before = (tmp_path / "in.mp4").read_bytes()
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(SystemExit) as caught:
        photos.main(["video", str(tmp_path / "in.mp4"), "--out", str(tmp_path / out)])
    assert caught.value.code == 2 and (tmp_path / "in.mp4").read_bytes() == before


def test_a_single_frame_has_an_expression(tmp_path: Path, capsys: pytest.CaptureFixture[str], finder: Finder) -> None:
    source = write(tmp_path / "in.mp4", PLAIN, Recipe(seconds=0.04, sound=None))
    assert photos.main(["video", str(source), "--out", str(tmp_path / "out.mp4")]) == 0
    printed = capsys.readouterr().out
    assert "happy 0.04 s" in printed and ": 0.04 s, 320 x 180" in printed
    result = annotate_video(finder, source, tmp_path / "out.mp4")
    assert "0.04 seconds" in video_words.summary(result) and ">0.04 s<" in video_words.table(result)
    assert timeline.duration(0) == "0.0 seconds"


def test_all_faces_are_counted_and_nobody_is_told_apart_from_briefly() -> None:
    crowd = [SimpleNamespace(id=n, in_view_s=2.0, seconds={"happy": 2.0}, runs=()) for n in range(40)]
    brief = [SimpleNamespace(id=1, in_view_s=0.1, seconds={"happy": 0.1}, runs=())]
    said = []
    for people in (crowd, brief, ()):
        result = Result((64, 64), (64, 64), 12.3, 300, 30, "kept", tuple(people), {})  # type: ignore[arg-type]
        said.append(video_words.summary(result))
        assert video_words.table(result).count("<tr>") == (13 if people is crowd else 0)
    assert "<b>40 faces followed</b> in 12.3 seconds; 30 of 300 frames were analysed, about 10 a second, and" in said[0]
    assert "No face stays in view for 0.25 seconds.</b> The video lasts 12.3 seconds;" in said[1]
    assert "<b>No faces found.</b>" in said[2] and "seen from the front. The video lasts" in said[2]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_video_among_the_photos_is_told_where_to_go(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], finder: Finder
) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    source = write(tmp_path / name, PLAIN, Recipe(seconds=0.2, codec=codec, sound=None))
    finder.models = {}
    finder.analyze = lambda source, **options: images.load(source)
    assert photos.main([str(source)]) == 1
    assert "facemotion video" in capsys.readouterr().err
