"""Which pictures the command line finds: links, folders that cannot be read, patterns, standard input, its own."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from facemotion.cli.inputs import find_photos
from facemotion.pipeline import Pipeline
from tests.support.media.synthetic_videos import Recipe, write
from tests.unit.cli.test_cli import FakePipeline, fake, photos, run  # noqa: F401 - fixtures
from tests.unit.video.test_video import PLAIN


@pytest.mark.parametrize("words", [["folder"], ["folder", "-r"], ["folder/[Ab]*"], ["folder/A.JPG", "folder/b.png"]])
@pytest.mark.parametrize("target", ["folder", "folder/deeper"])
def test_a_second_run_passes_over_what_the_first_one_drew(
    words: list[str],
    target: str,
    fake: FakePipeline,  # noqa: F811
    photos: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    looked = []
    for _ in range(3):
        fake.calls.clear()
        assert run(*words, "--annotate", target) == 0
        looked.append(sorted(name for name, *_ in fake.calls))
    assert looked[0] == looked[1] == looked[2]
    again = "-r" in words or (target == "folder" and words[-1] in ("folder", "folder/[Ab]*"))
    assert ("pictures that facemotion drew" in capsys.readouterr().err) == again


def test_a_shell_s_pattern_names_what_was_drawn_too(
    fake: FakePipeline,  # noqa: F811
    photos: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("a.jpg", "--annotate", ".") == 0
    assert run("a.jpg", "a_faces.jpg", "--annotate", ".") == 0
    assert [name for name, *_ in fake.calls] == ["a.jpg", "a.jpg"]
    assert "Passed over: 1 picture that facemotion drew." in capsys.readouterr().err
    assert run("?*.jpg") == 0  # nobody has named it
    assert [name for name, *_ in fake.calls] == ["a.jpg"] * 3
    assert run("a_faces.jpg", "--annotate", "out") == 0  # whoever names it alone, and draws elsewhere, means it
    assert fake.calls[-1][0] == "a_faces.jpg"


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_linked_folders_are_searched_and_each_folder_once(
    fake: FakePipeline,  # noqa: F811
    photos: Path,  # noqa: F811
) -> None:
    (photos / "elsewhere").mkdir()
    (photos / "elsewhere" / "d.jpg").write_bytes((photos / "a.jpg").read_bytes())
    (photos / "folder" / "0").symlink_to(photos / "elsewhere")
    (photos / "folder" / "1").symlink_to(photos / "folder" / "deeper")  # has a path of its own
    (photos / "folder" / "deeper" / "up").symlink_to(photos / "folder")  # a loop
    assert run("folder", "-r") == 0
    assert [name for name, *_ in fake.calls] == ["d.jpg", "A.JPG", "b.png", "c.jpg"]
    assert run("folder", "-r", "--annotate", "out") == 0


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_that_leads_nowhere_is_named(
    fake: FakePipeline,  # noqa: F811
    photos: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    (photos / "folder" / "lost.jpg").symlink_to("nowhere.jpg")
    assert run("folder") == 1
    assert "folder/lost.jpg: There is no such file." in capsys.readouterr().err


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(("shut", "names"), [("deeper", ["A.JPG", "b.png", "a.jpg"]), ("folder", ["a.jpg"])])
def test_a_folder_that_cannot_be_read_is_named_and_the_others_are_done(
    shut: str,
    names: list[str],
    fake: FakePipeline,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scandir = os.scandir

    def refused(path: Any) -> Any:  # the administrator, as whom tests may run, may read everything
        if Path(path).name == shut:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refused)
    assert run("folder", "a.jpg", "-r") == 1
    assert [name for name, *_ in fake.calls] == names
    assert f"{shut} was not searched: Permission denied." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["*.jpg"], ["a.jpg"]),
        (["folder/[Ab].*"], ["A.JPG", "b.png"]),
        (["f*"], ["A.JPG", "b.png"]),
        (["a.jpg", "?.jpg"], ["a.jpg", "a.jpg"]),
    ],
)
def test_patterns_that_no_shell_has_expanded(
    words: list[str],
    names: list[str],
    fake: FakePipeline,  # noqa: F811
    photos: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*words, "--json") == 0
    assert [name for name, *_ in fake.calls] == names
    assert len(json.loads(capsys.readouterr().out)) == len(names)  # a list, also of one


def test_a_pattern_that_nothing_matches_is_called_one(
    fake: FakePipeline,  # noqa: F811
    photos: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("*.webp") == 1
    assert "*.webp: There is no such file. Please check its name. No file matches this pattern." in (
        capsys.readouterr().err
    )
    (photos / "[1].jpg").write_bytes((photos / "a.jpg").read_bytes())
    assert [one.path.name for one in find_photos(["[1].jpg"]).pictures] == ["[1].jpg"]  # a name, not a pattern


@pytest.mark.usefixtures("photos")
def test_a_dash_is_standard_input(
    pipeline: Pipeline, examples: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Pipeline, "from_pretrained", lambda **_: pipeline)
    data = (examples / "astronaut.png").read_bytes()
    for words, names in ((["-"], None), (["-", "a.jpg"], ["-", "a.jpg"])):
        with monkeypatch.context() as patch:
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
            assert run(*words, "--json", "--annotate", "out") == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["faces"] if names is None else found[0]["faces"])[0]["expression"] == "happy"
        assert names is None or [one["name"] for one in found] == names
    assert Path("out/stdin_faces.jpg").exists()


def test_a_video_is_told_of_its_own_command(
    fake: FakePipeline,  # noqa: F811
    photos: Path,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(photos / "clip.mp4", PLAIN, Recipe(seconds=0.2))
    assert run("clip.mp4") == 1
    assert "For videos: facemotion video clip.mp4 --out clip-faces.mp4" in capsys.readouterr().err
    assert run("folder/notes.txt") == 1
    assert "facemotion video" not in capsys.readouterr().err
