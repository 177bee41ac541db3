from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from facemotion import __version__, images
from facemotion.cli import photos as cli
from facemotion.errors import HubUnavailable
from facemotion.faces import Analysis
from facemotion.pipeline import Pipeline
from tests.support.models.builders import analysis, face


class FakePipeline:
    """Reads pictures for real and finds one face in each; `notices` and `stop_at` are set by the tests."""

    models = {"detector": "fake", "classifier": "fake"}
    notices: tuple[str, ...] = ()
    stop_at: str | None = None

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, float | None]] = []

    def analyze(self, source: Path, *, detail: str, threshold: float | None) -> Analysis:
        print("a library that prints")
        self.calls.append((source.name, detail, threshold))
        if source.name == self.stop_at:
            raise KeyboardInterrupt
        height, width = images.load(source).shape[:2]
        return analysis(
            face(box=(2, 2, width - 2, height - 2), uncertain=True, quality=("dark",)), size=(width, height)
        )


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePipeline:
    pipeline = FakePipeline()
    asked: list[dict[str, str]] = []
    monkeypatch.setattr(Pipeline, "from_pretrained", lambda **names: asked.append(names) or pipeline)
    pipeline.asked = asked  # type: ignore[attr-defined]
    return pipeline


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder: a.jpg, bad.png, folder/{A.JPG, b.png, notes.txt, .hidden.jpg} and folder/deeper/c.jpg."""
    (tmp_path / "folder" / "deeper").mkdir(parents=True)
    for name in ("a.jpg", "folder/b.png", "folder/.hidden.jpg", "folder/deeper/c.jpg"):
        Image.new("RGB", (60, 40), "gray").save(tmp_path / name)
    (tmp_path / "folder" / "A.JPG").write_bytes((tmp_path / "a.jpg").read_bytes())
    (tmp_path / "folder" / "notes.txt").write_text("not a picture")
    (tmp_path / "bad.png").write_text("not a picture either")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    """The exit status, whichever way the command ends."""
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["a.jpg"], ["a.jpg"]),
        (["folder"], ["A.JPG", "b.png"]),
        (["folder", "-r"], ["A.JPG", "b.png", "c.jpg"]),
        (["folder", "a.jpg", "--recursive"], ["A.JPG", "b.png", "c.jpg", "a.jpg"]),
        (["folder/notes.txt", "a.jpg"], ["notes.txt", "a.jpg"]),
    ],
)
def test_folders_stand_for_the_pictures_in_them(
    arguments: list[str], names: list[str], fake: FakePipeline, photos: Path
) -> None:
    run(*arguments)
    assert [name for name, _, _ in fake.calls] == names


def test_options_reach_the_pipeline(fake: FakePipeline, photos: Path) -> None:
    assert run("a.jpg", "--detail", "thorough", "--threshold", "0.25", "--detector", "yolo", "--classifier", "x/y") == 0
    assert fake.calls == [("a.jpg", "thorough", 0.25)]
    assert fake.asked == [{"detector": "yolo", "classifier": "x/y"}]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["a.jpg", "--threshold", "2"],
        ["a.jpg", "--threshold", "nan"],
        ["a.jpg", "--threshold", "x"],
        ["a.jpg", "--detail", "closely"],
        ["a.jpg", "--unknown"],
        ["a.jpg", "--json", "--csv", "-"],
        ["a.jpg", "--csv", "nowhere/faces.csv"],
        ["bad.png", "--csv", "a.jpg"],
        ["a.jpg", "--csv", "folder"],
    ],
)
def test_wrong_options_end_with_2_before_a_model_is_loaded(
    arguments: list[str], fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (photos / "a.jpg").read_bytes()
    assert run(*arguments) == 2
    assert "usage: facemotion" in capsys.readouterr().err
    assert not fake.asked  # type: ignore[attr-defined]
    assert (photos / "a.jpg").read_bytes() == before


def test_one_photo_gives_the_one_json_and_nothing_else(
    fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("a.jpg", "--json") == 0
    output = capsys.readouterr()
    assert list(json.loads(output.out)) == ["image", "faces", "models", "timings_ms", "error"]
    assert "a library that prints" in output.err


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["a.jpg", "folder/b.png"], ["a.jpg", "folder/b.png"]),
        (["folder/deeper"], ["folder/deeper/c.jpg"]),
        (["a.jpg", "bad.png"], ["a.jpg", "bad.png"]),
    ],
)
def test_several_photos_or_a_folder_give_a_list(
    arguments: list[str], names: list[str], fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*arguments, "--json")
    found = json.loads(capsys.readouterr().out)
    assert [one["name"] for one in found] == names
    assert [one["error"] is None for one in found] == [name != "bad.png" for name in names]


def test_a_bad_picture_is_named_and_the_others_are_done(
    fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("missing.jpg", "bad.png", "a.jpg") == 1
    output = capsys.readouterr()
    assert "a.jpg: 1 face" in output.out
    assert "3 pictures, 1 face; 1 happy; 1 uncertain, 2 unreadable" in output.out
    assert "missing.jpg: There is no such file" in output.err
    assert "bad.png: " in output.err
    assert "Traceback" not in output.err


def test_the_table_for_people(fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("a.jpg") == 0
    assert capsys.readouterr().out == "a.jpg: 1 face\n   1  happy?     70%  dark\n"


def test_csv_is_printed_or_written(fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("a.jpg", "bad.png", "--csv", "-") == 1
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["picture"] for row in rows] == ["a.jpg", "bad.png"]
    for arguments, name in ((["--csv", "out.csv"], "out.csv"), (["--csv"], "faces.csv")):
        assert run("a.jpg", "bad.png", "--json", *arguments) == 1
        assert list(csv.DictReader(io.StringIO((photos / name).read_text("utf-8-sig")))) == rows
        json.loads(capsys.readouterr().out)


def test_drawn_pictures_overwrite_neither_the_originals_nor_each_other(fake: FakePipeline, photos: Path) -> None:
    shutil.copy("a.jpg", "a_faces.jpg")
    originals = {path: path.read_bytes() for path in photos.rglob("*.*") if path.is_file()}
    given = ["a.jpg", "a_faces.jpg", "folder", "bad.png"]
    for _ in range(2):  # a second run replaces what the first one drew, and only that
        assert run(*given, "--annotate", ".") == 1
        assert {path: path.read_bytes() for path in originals} == originals
        assert {path.name for path in photos.iterdir() if path not in originals} == {
            "folder", "a_faces_2.jpg", "a_faces_faces.jpg", "A_faces_3.jpg", "b_faces.png",
        }  # fmt: skip
    with Image.open("b_faces.png") as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (60, 40))


def test_labels_can_be_left_out(fake: FakePipeline, photos: Path) -> None:
    pictures = []
    for flags in ([], ["--no-labels"]):
        assert run("folder/b.png", "--annotate", "out", *flags) == 0
        pictures.append(images.load(photos / "out" / "b_faces.png"))
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[1][12:28, 12:48] == 128).all()


def test_a_folder_that_cannot_be_made_is_a_sentence(
    fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("folder", "--annotate", "a.jpg") == 1
    assert capsys.readouterr().err == "facemotion: a.jpg: File exists.\n"


def test_no_picture_at_all_is_a_failure(fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "empty").mkdir()
    assert run("empty") == 1
    assert "There is no picture" in capsys.readouterr().err


def test_a_model_that_cannot_be_had_is_a_sentence(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**names: str) -> None:
        raise HubUnavailable("The Hub gave no answer. Try again later.")

    monkeypatch.setattr(Pipeline, "from_pretrained", refuse)
    assert run("a.jpg") == 1
    assert capsys.readouterr() == ("", "facemotion: The Hub gave no answer. Try again later.\n")


def test_notices_about_the_models_are_shown(
    fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake.notices = ("The embedded weights serve.",)
    run("a.jpg", "--json")
    assert "facemotion: The embedded weights serve.\n" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "shown"), [(1, False), (5, False), (25, True)])
def test_progress_is_shown_for_many_pictures(
    count: int, shown: bool, fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*["a.jpg"] * count) == 0
    assert (f"{count}/{count}" in capsys.readouterr().err) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [("ünï.jpg", "ünï.jpg"), ("a\x1b[31m.jpg", "a\ufffd[31m.jpg"), (os.fsdecode(b"\xff.jpg"), "\ufffd.jpg")],
)
def test_odd_names_are_shown_harmlessly(
    name: str, shown: str, fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        shutil.copy("a.jpg", name)
    except OSError:
        pytest.skip("this file system does not take such a name")
    assert run(name, "--annotate", "out") == 0
    assert capsys.readouterr().out.startswith(f"{shown}: 1 face")


def test_a_link_that_leads_to_itself_stops_no_other(fake: FakePipeline, photos: Path) -> None:
    Path("loop.jpg").symlink_to("loop.jpg")
    assert run("a.jpg", "loop.jpg", "--annotate", "out") == 1
    assert [path.name for path in Path("out").iterdir()] == ["a_faces.jpg"]


def test_a_long_name_is_not_cut_within_a_letter(fake: FakePipeline, photos: Path) -> None:
    shutil.copy("a.jpg", "顔" * 80 + ".jpg")
    assert run("顔" * 80 + ".jpg", "--annotate", "out") == 0
    assert [path.name for path in Path("out").iterdir()] == ["顔" * 66 + "_faces.jpg"]


@pytest.mark.parametrize("name", ["x" * 300, "x" * 245 + ".jpg"])
def test_names_of_any_length_end_in_a_sentence_or_a_picture(
    name: str, fake: FakePipeline, photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if len(name) < 255:
        shutil.copy("a.jpg", name)
    assert run(name, "a.jpg", "--annotate", "out") in (0, 1)
    assert "a.jpg: 1 face" in capsys.readouterr().out
    assert (photos / "out" / "a_faces.jpg").exists()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "facemotion", *arguments]


@pytest.mark.slow
def test_help_and_version_come_at_once_without_a_model() -> None:
    script = (
        "import sys; from facemotion.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print(sorted({'torch', 'cv2', 'numpy', 'gradio', 'ultralytics'} & set(sys.modules)), file=sys.stderr)"
    )
    for flag, text in (("--help", "PHOTO"), ("--version", f"facemotion {__version__}")):
        done = subprocess.run(
            [sys.executable, "-c", script, flag], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "[]\n")
        assert text in done.stdout


def test_a_bad_setting_is_a_sentence(examples: Path) -> None:
    environment = {**os.environ, "FACEMOTION_MAX_PIXELS": "many"}
    done = subprocess.run(
        command(str(examples)), env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "facemotion: FACEMOTION_MAX_PIXELS must be a whole number, but is 'many'.\n"


@pytest.mark.slow
def test_the_real_command_on_the_real_photos(examples: Path, tmp_path: Path) -> None:
    smiling = [str(examples / name) for name in ("astronaut.png", "fr_obama.jpg")]
    done = subprocess.run(
        command(*smiling, str(tmp_path / "missing.jpg"), "--json", "--annotate", str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    first, second, missing = json.loads(done.stdout)
    assert [one["faces"][0]["expression"] for one in (first, second)] == ["happy", "happy"]
    assert missing["error"]["code"] == "missing"
    assert "missing.jpg: There is no such file" in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"astronaut_faces.png", "fr_obama_faces.jpg"}


@pytest.fixture
def many(examples: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The command at work on many pictures, and drawing them."""
    for index in range(300):
        (tmp_path / f"{index:03}.jpg").symlink_to(examples / "fr_obama.jpg")
    out = str(tmp_path / "out")
    signal.signal(signal.SIGINT, signal.default_int_handler)  # inherited; a shell starts background jobs without it
    with subprocess.Popen(
        command(str(tmp_path), "--annotate", out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal for one process")
@pytest.mark.slow
def test_a_real_ctrl_c_ends_the_real_command(many: subprocess.Popen[str], tmp_path: Path) -> None:
    deadline = time.monotonic() + 90
    while not list((tmp_path / "out").glob("*_faces.jpg")) and time.monotonic() < deadline:
        time.sleep(0.05)
    many.send_signal(signal.SIGINT)
    output, errors = many.communicate(timeout=30)
    assert many.returncode == 130
    assert f"Stopped: {output.count('.jpg: 1 face')} of 300 pictures are done." in errors
    assert "Traceback" not in errors
    assert not list((tmp_path / "out").glob("*.part"))
