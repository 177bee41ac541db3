"""Fine-tuning and exporting a face detector: a run of seconds on four small pictures, stopped and resumed, then served;
nothing of it asks the network."""

from __future__ import annotations

import csv
import json
import random
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from facemotion import FaceDetector
from training.common.errors import DataError
from training.detector import export, train
from training.detector.data import dataset as face_dataset


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Path:
    """Crops of a photo around its face, as many as a tenth can be held out of."""
    root = tmp_path_factory.mktemp("faces")
    (root / "images").mkdir()
    (root / "labels").mkdir()
    with Image.open(examples / "astronaut.png") as photo:
        for number in range(5):
            left = 100 + 12 * number
            part = photo.convert("RGB").crop((left, 20, left + 240, 260))
            part = part.transpose(Image.Transpose(number))  # else they would count as one source
            part.save(root / "images" / f"p{number}.jpg")
            (root / "labels" / f"p{number}.txt").write_text("0 0.5 0.42 0.38 0.48\n")
    (root / "SOURCES.json").write_text(json.dumps({"licences": {"": "public domain"}}))
    return root


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    asked: list[object] = []

    def refuse(*arguments: object, **_: object) -> object:
        asked.append(arguments[:1])
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    assert asked == []


@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.slow
def test_a_run_is_stopped_resumed_exported_and_served(
    data: Path, test_assets: Path, offline: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    arguments = [f"--data={data}", f"--base={test_assets / 'reference' / 'yolo26n.pt'}", f"--out={out}"]
    arguments += ["--epochs=2", "--freeze=1", "--imgsz=64", "--batch=4", "--close-mosaic=1", "--device=cpu"]
    stop_after_one_epoch(arguments)
    assert len(epochs(out)) == 1 and not (out / "summary.json").exists()
    with (out / "results.csv").open("a") as rows:  # as a run killed before its checkpoint leaves it
        rows.write(rows_of(out)[-1].replace("1,", "2,", 1) + "\n")
    train.main([f"--out={out}", "--resume", "--device=cpu"])
    assert epochs(out) == ["1", "2"]
    assert "epoch 2/2: " in capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert summary["epochs"] == 2 and np.isfinite(summary["last"]["train/box_loss"])
    config = json.loads((out / "config.json").read_text())
    assert (config["base"], config["imgsz"], len(config["sessions"])) == ("yolo26n.pt", 64, 2)
    assert config["sources"] == {"licences": {"": "public domain"}}
    with pytest.raises(SystemExit):
        train.main([f"--out={out}", "--resume"])
    assert "has finished its 2 epochs" in capsys.readouterr().err

    folder = tmp_path / "export"
    train.main(["export", f"--run={out}", f"--out={folder}"])
    exported = json.loads((folder / "config.json").read_text())
    assert exported["parity"]["opencv"]["pixels"] < export.MAX_PX
    assert (folder / "model.onnx").stat().st_size < export.MAX_BYTES
    assert str(tmp_path).encode() not in (folder / "model.onnx").read_bytes()  # no folder's name is published
    assert str(tmp_path) not in (folder / "config.json").read_text()
    served = FaceDetector.from_pretrained(str(folder))
    boxes, scores = served.detect(np.asarray(Image.open(data / "images" / "p0.jpg")), threshold=0.001)
    assert boxes.shape == (len(scores), 4)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_an_older_head_is_distilled_exported_and_served(
    data: Path, test_assets: Path, offline: None, tmp_path: Path
) -> None:
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    for number in range(5):
        (teacher / f"p{number}.txt").write_text("0.31 0.18 0.69 0.66 0.45\n")
    out = tmp_path / "run"
    arguments = [f"--data={data}", f"--base={test_assets / 'reference' / 'yolov8n-face.pt'}", f"--out={out}"]
    arguments += ["--epochs=1", "--freeze=0", "--imgsz=64", "--batch=4", "--close-mosaic=1", "--device=cpu"]
    train.main([*arguments, f"--teacher-boxes={teacher}", "--paste=1"])
    config = json.loads((out / "config.json").read_text())
    assert config["teacher_boxes"] == ["teacher"] and config["scale"] == [0.25, 2.0]
    assert "confidence.json" in {file.name for file in (out / "data").iterdir()}
    train.main(["export", f"--run={out}", f"--out={tmp_path / 'export'}"])
    exported = json.loads((tmp_path / "export" / "config.json").read_text())
    assert exported["suppress"] == export.SUPPRESS and exported["output"].startswith("float32 [1, 5, N]")
    served = FaceDetector.from_pretrained(str(tmp_path / "export"))
    assert served.detect(np.asarray(Image.open(data / "images" / "p0.jpg")), threshold=0.01)[0].shape[1] == 4


def test_small_photos_are_shown_at_their_own_size_too(tmp_path: Path) -> None:
    from training.detector import trainer as detector_trainer

    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, 40:] = 255
    Image.fromarray(picture).save(tmp_path / "small.png")
    dataset = SimpleNamespace(imgsz=320, im_files=[str(tmp_path / "small.png"), str(tmp_path / "none.png")])
    large = np.zeros((160, 320, 3), np.uint8)
    seeded = random.getstate()
    random.seed(1)
    try:
        shown = [detector_trainer.load_resized(dataset, lambda _: (large, (40, 80), (160, 320)), 0) for _ in range(60)]
    finally:
        random.setstate(seeded)
    widths = [made.shape[1] for made, _, _ in shown]
    assert 20 < widths.count(80) < 40 and min(widths) >= 80 and 200 < max(widths) <= 320
    for made, own, now in shown:
        assert own == (40, 80) and now == made.shape[:2] and now[1] == pytest.approx(2 * now[0], abs=2)
        assert made[:, : made.shape[1] // 3].max() < 10 and made[:, -made.shape[1] // 3 :].min() > 245
    same = large, (160, 320), (160, 320)
    assert detector_trainer.load_resized(dataset, lambda _: same, 1)[0] is large  # as large as the input: as it is


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_the_network_computes_in_bfloat16_where_the_processor_does_and_the_loss_in_float32(arithmetic: str) -> None:
    from ultralytics.nn.tasks import DetectionModel

    from training.detector import trainer as detector_trainer

    torch.manual_seed(0)
    network = DetectionModel("yolov8n.yaml", ch=3, nc=1, verbose=False).train()
    seen: list[torch.Tensor] = []
    network.criterion = lambda outputs, _: (seen.append(outputs["boxes"]), seen[-1].square().mean())[1]
    loss = detector_trainer.BaseModel.loss
    with detector_trainer.bf16_network(torch.device("cpu")):
        network({"img": torch.rand(2, 3, 64, 64)}).backward()
    assert detector_trainer.BaseModel.loss is loss
    boxes = seen[0]
    assert boxes.dtype is torch.float32 and boxes.std() > 0 and next(network.parameters()).grad is not None
    assert bool((boxes.bfloat16().float() == boxes).all()) is (arithmetic == "bfloat16")


def stop_after_one_epoch(arguments: list[str]) -> None:
    """A run that is killed as its second epoch starts; what it froze before is learning then."""
    from training.detector import trainer as detector_trainer

    class Killed(Exception):
        pass

    begin, learning = detector_trainer.FaceTraining._model_train, []

    def stop_at_the_second(trainer: detector_trainer.FaceTraining) -> None:
        begin(trainer)
        learning.append(next(trainer.model.parameters()).requires_grad)
        if trainer.epoch == 1:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector_trainer.FaceTraining, "_model_train", stop_at_the_second)
        with pytest.raises(Killed):
            train.main(arguments)
    assert learning == [False, True]


def rows_of(out: Path) -> list[str]:
    return (out / "results.csv").read_text().splitlines()


def epochs(out: Path) -> list[str]:
    with (out / "results.csv").open(newline="") as file:
        return [row["epoch"] for row in csv.DictReader(file)]


def test_a_run_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "last.pt").write_bytes(b"")
    (tmp_path / "config.json").write_text(
        json.dumps({"base": "a.pt", "epochs": 3, "imgsz": 64, "crowds": 2, "loose": ["web"]})
    )
    recipe = train.resumed_recipe(tmp_path)
    assert (recipe.base, recipe.epochs, recipe.imgsz, recipe.crowd_repeats) == (
        "a.pt",
        3,
        64,
        2,
    ) and recipe.loose_sets == ("web",)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(DataError, match="neither base nor epochs"):
        train.resumed_recipe(tmp_path)


def test_sources_are_told_of_every_folder(tmp_path: Path) -> None:
    told = [{"licences": {"web": "CC0"}}, {"licences": {"negatives": "GPL"}, "sources": {"negatives": "stamps"}}]
    folders = [tmp_path / name for name in ("a", "b", "c")]
    for folder, content in zip(folders, [*told, None], strict=True):
        folder.mkdir()
        if content:
            (folder / "SOURCES.json").write_text(json.dumps(content))
    expected = {"licences": {"web": "CC0", "negatives": "GPL"}, "sources": {"negatives": "stamps"}}
    assert train.sources(*folders, None) == expected
    (folders[2] / "SOURCES.json").write_text("[1]")
    with pytest.raises(DataError, match="must hold sources and licences by set"):
        train.sources(*folders)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--out=OUT"], "--data is missing"),
        (["--out=OUT", "--data=DATA", "--base=none.pt"], "there is no checkpoint none.pt"),
        (["--out=OUT", "--resume"], "to go on from"),
        (["export", "--run=OUT", "--out=OUT"], "is no finished run"),
        (["export", "--run=OUT", "--out=OUT", "--threshold=2"], "between 0 and 1"),
    ],
)
def test_what_cannot_be_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        train.main([a.replace("OUT", str(tmp_path / "run")).replace("DATA", str(data)) for a in arguments])
    assert exit_.value.code == 2 and sentence in capsys.readouterr().err


def test_a_run_is_not_written_over(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "last.pt").write_bytes(b"")
    with pytest.raises(SystemExit):
        train.main([f"--out={tmp_path}", f"--data={data}"])
    assert "already holds a run" in capsys.readouterr().err


def test_a_limit_draws_evenly_and_keeps_photos_held_out(data: Path) -> None:
    source = face_dataset.read(data)
    few = train.limited(source, 2)
    assert few.held_out.tolist().count(True) == 1 and len(few.photos) == 3
    assert train.limited(source, 0) is source


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[10, 10, 20, 20, 0.9, 0]], {"pixels": 0, "score": 0}),
        ([[10, 10.5, 20, 20, 0.8, 0], [0, 0, 5, 5, 0.05, 0]], {"pixels": 0.5, "score": 0.1}),
        ([[10, 10, 20, 20, 0.9, 0], [50, 50, 60, 60, 0.9, 0]], {"pixels": 40, "score": 0}),  # one that is not there
        ([], {"pixels": np.inf, "score": np.inf}),
    ],
)
def test_how_far_rows_are_apart(rows: list[list[float]], expected: dict[str, float]) -> None:
    mine = np.array([[10, 10, 20, 20, 0.9, 0]], np.float32)
    theirs = np.array(rows, np.float32).reshape(-1, 6)
    assert export.difference(mine, theirs) == pytest.approx(expected, abs=1e-6)


def test_flags_are_the_recipe() -> None:
    arguments = train.parse_arguments(["--out", "x", "--teachers", "a", "b", "--epochs", "3"])
    recipe = train.recipe_of(arguments)
    assert recipe == train.Recipe(teachers=("a", "b"), epochs=3)
