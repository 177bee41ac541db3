"""Nothing leaves the machine and nothing is left behind unasked, by native libraries least of all: seen by strace."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.media.synthetic_videos import ONE, Recipe, write
from tests.support.probes import strace
from tests.support.servers.processes import ROOT, free_port, wait_until_it_answers
from tests.support.servers.visitor import Visitor, call

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

IMPORTS = """
from facemotion import *
import facemotion.video, facemotion.webui, onnxruntime, training.expression.train, training.expression.figures.charts
FaceDetector.from_pretrained("yunet"), EmotionClassifier.from_pretrained("default")
"""
CHECKPOINT = """
from facemotion.detectors import ultralytics_compat as compat
yolo = compat.import_ultralytics().YOLO("yolov8n.yaml")
yolo.model.names[0] = "face"
yolo.save("eight.pt")
compat.import_ultralytics().YOLO("eight.pt").export(format="openvino", imgsz=64)

import sys
from facemotion import cli
sys.exit(cli.main([sys.argv[1], "--json", "--detector", "eight.pt"]))
"""


def test_importing_everything(tmp_path: Path) -> None:
    strace.run(tmp_path, "-c", IMPORTS).assert_nothing_unasked()


def test_the_command_line(tmp_path: Path, examples: Path) -> None:
    strace.run(tmp_path, "-m", "facemotion", str(examples / "astronaut.png"), "--json").assert_nothing_unasked()


def test_a_video(tmp_path: Path) -> None:
    source = write(tmp_path / "in.mp4", ONE, Recipe(seconds=0.4))
    strace.run(tmp_path, "-m", "facemotion", "video", str(source), "--out", "out.mp4").assert_nothing_unasked()


def test_a_server_and_its_visitor(tmp_path: Path, examples: Path) -> None:
    """Ended by SIGTERM while a page is open; its folder of uploads is deleted all the same."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with strace.started(tmp_path, str(ROOT / "app.py"), GRADIO_SERVER_PORT=str(port)) as (traced, process):
        wait_until_it_answers(process, url, tmp_path / "output.txt")
        visitor = Visitor(url)
        photo = visitor.upload("photo.png", (examples / "astronaut.png").read_bytes())
        assert call(visitor.http, "annotate", [photo])[0] == "complete"
        assert Path(photo["path"]).is_relative_to((tmp_path / "tmp").resolve())
        with visitor.http.stream("GET", "/gradio_api/heartbeat/open-page"):  # a browser that stays
            strace.terminate(traced, process)
        visitor.close()
    traced.assert_nothing_unasked()


@pytest.mark.timeout(900)  # two programs, each of which imports ultralytics under strace
def test_a_checkpoint_and_an_openvino_export(tmp_path: Path, examples: Path) -> None:
    photo = str(examples / "small.jpg")
    made = strace.run(tmp_path / "made", "-c", CHECKPOINT, photo)
    made.assert_nothing_unasked()
    detector = str(made.folder / "work" / "eight_openvino_model")
    used = strace.run(tmp_path / "used", "-m", "facemotion", photo, "--json", "--detector", detector)
    used.assert_nothing_unasked()


@pytest.mark.parametrize("setting", ["0", "1"])
def test_a_users_own_setting_of_the_runtimes_telemetry_stands(tmp_path: Path, setting: str) -> None:
    code = f"import facemotion, os; assert os.environ['ORT_DISABLE_TELEMETRY'] == {setting!r}"
    strace.run(tmp_path, "-c", code, ORT_DISABLE_TELEMETRY=setting)


@pytest.mark.parametrize(
    ("code", "asked", "written"),
    [
        ("import socket; socket.socket(2, 2).connect(('192.0.2.1', 9))", 1, 0),
        ("import socket; socket.socket(2, 2).sendto(b'', ('127.0.0.1', 53))", 1, 0),
        ("import socket; socket.socket(2, 2).connect(('127.0.0.1', 9))", 0, 0),
        ("import os; os.makedirs(os.environ['HOME'] + '/.cache/x')", 0, 2),
        ("import os; os.chdir(os.environ['HOME']); open('x', 'w')", 0, 1),
        ("import tempfile, os; tempfile.mkstemp(); os.mkdir('x')", 0, 0),
    ],
)
def test_what_strace_would_see(tmp_path: Path, code: str, asked: int, written: int) -> None:
    if reason := strace.missing():
        pytest.skip(reason)
    traced = strace.run(tmp_path, "-c", code)
    assert (len(traced.asked()), len(traced.written_elsewhere())) == (asked, written)
