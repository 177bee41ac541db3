"""Publishing a model with the real client to a Hub on loopback: what goes up, what comes back, what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facemotion import EMOTIONS, EmotionClassifier, settings
from facemotion.settings import Reference
from tests.support.hub import publishing
from tests.support.hub.downloads import Hub
from tests.support.hub.publishing import EMBEDDED, MODEL, REPO, SPACE, reference_in, refused
from tests.support.hub.uploads import READER, Uploads
from training.expression import onnx_export
from training.expression.config import Config
from training.expression.data.dataset import load_split
from training.expression.inference import predict, to_device, torch_network
from training.publish import cli

MODEL_FILES = {"model.safetensors", "config.json", "model.onnx", "README.md", "LICENSE"}

pytestmark = [*publishing.MARKS, pytest.mark.slow]
uploads, quick_export, published = publishing.uploads, publishing.quick_export, publishing.published


def empty_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder / "another-cache"))


def test_a_model_goes_up_in_one_commit_with_all_that_belongs_to_it(hub: Hub, published: Reference) -> None:
    repository = hub.repositories[REPO]
    first, second = repository.commits
    assert second == published.revision
    assert set(repository.commits[second]) - set(repository.commits[first]) == MODEL_FILES
    files = repository.commits[second]
    assert files["model.safetensors"] == (EMBEDDED / "model.safetensors").read_bytes()
    assert files["config.json"] == (EMBEDDED / "config.json").read_bytes()
    assert published.sha256 == hashlib.sha256(files["model.safetensors"]).hexdigest()


def test_the_app_serves_what_was_published_with_equal_outputs(
    hub: Hub, published: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_cache(tmp_path, monkeypatch)
    monkeypatch.setenv("FACEMOTION_WEIGHTS", str(published))
    served, pictures = EmotionClassifier.from_pretrained(), onnx_export.sample_crops()
    assert served.notice is None
    assert f"{REPO}@{published.revision}" in served.description
    expected = EmotionClassifier.from_pretrained("simplecnn").classify(pictures)
    np.testing.assert_array_equal(served.classify(pictures), expected)


@pytest.mark.parametrize("pin", [f"{REPO}@{'0' * 40}", "{}{}", f"{REPO}-gone"], ids=["revision", "checksum", "repo"])
def test_a_pin_that_is_not_there_is_refused_and_the_embedded_weights_serve_visibly(
    hub: Hub, published: Reference, monkeypatch: pytest.MonkeyPatch, pin: str
) -> None:
    wanted = pin.format(f"{REPO}@{published.revision}", "#" + "0" * 64)
    monkeypatch.setenv("FACEMOTION_WEIGHTS", wanted)
    served = EmotionClassifier.from_pretrained()
    assert f"{settings.CLASSIFIER} (embedded" in served.description
    assert served.notice and wanted in served.notice and "the embedded weights serve" in served.notice


def test_a_tampered_file_is_refused_and_the_embedded_weights_serve_visibly(
    hub: Hub, published: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty_cache(tmp_path, monkeypatch)
    assert published.sha256
    content = hub.large_files[published.sha256]
    hub.large_files[published.sha256] = content[:-1] + bytes([content[-1] ^ 1])
    monkeypatch.setenv("FACEMOTION_WEIGHTS", str(published))
    served = EmotionClassifier.from_pretrained()
    assert f"{settings.CLASSIFIER} (embedded" in served.description
    assert served.notice and f"does not have the SHA-256 {published.sha256}" in served.notice


def test_a_damaged_download_is_never_pinned(uploads: Uploads, tmp_path: Path) -> None:
    uploads.hub.faults.damage = 99
    file = tmp_path / ".env"
    sentence = refused([*MODEL, "--write-env", str(file)])
    assert "is published, but could not be compared" in sentence and "does not have the SHA-256" in sentence
    assert not file.exists()


@pytest.mark.parametrize("name", ["FACEMOTION_WEIGHTS", "export FACEMOTION_WEIGHTS"])
def test_the_pin_is_written_where_the_app_reads_it(
    uploads: Uploads, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{name}=simplecnn\nGRADIO_SERVER_PORT=7861\n")
    cli.main([*MODEL, "--write-env", str(file)])
    reference = reference_in(capsys.readouterr().out)
    assert file.read_text() == f"GRADIO_SERVER_PORT=7861\nFACEMOTION_WEIGHTS={reference}\n"


def test_a_pull_request_leaves_main_as_it_is(hub: Hub, uploads: Uploads, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main([*MODEL, "--pr"])
    output = capsys.readouterr().out
    assert f"{REPO}/discussions/1" in output
    reference = reference_in(output)
    assert uploads.pull_requests == [hub.repositories[REPO].main]
    assert set(uploads.files(REPO)) == set()
    assert reference.revision in hub.repositories[REPO].commits


def test_publishing_twice_makes_a_second_commit_in_the_same_repository(
    hub: Hub, published: Reference, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(MODEL)
    second = reference_in(capsys.readouterr().out)
    assert second.revision != published.revision and second.sha256 == published.sha256


def test_figures_travel_and_stand_on_the_card(uploads: Uploads, tmp_path: Path, examples: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "loss_curve.png").write_bytes((examples / "astronaut.png").read_bytes())
    (tmp_path / "figures" / "notes.txt").write_text("not a figure")
    (tmp_path / "figures" / "mistakes.png").write_bytes(b"pictures of the data, which stay at home")
    cli.main([*MODEL, "--figures", str(tmp_path / "figures")])
    files = uploads.files(REPO)
    assert set(files) == MODEL_FILES | {"figures/loss_curve.png"}
    assert "![loss curve](figures/loss_curve.png)" in files["README.md"].decode()


def test_a_run_is_exported_and_published_with_its_figures(uploads: Uploads, tmp_path: Path) -> None:
    run, pictures = a_run(tmp_path / "run", tmp_path / "data")
    cli.main(["model", "--run", str(run), "--data", str(pictures), "--repo", REPO])
    files = uploads.files(REPO)
    assert set(files) == MODEL_FILES | {"figures/curves.png"}
    config = json.loads(files["config.json"])
    assert config["metrics"]["rows"] == 28 and config["recipe"]["learning_rate"] == 1e-4
    card = files["README.md"].decode()
    assert config["data"] in card and "| learning rate | `0.0001` |" in card
    low, high = config["metrics"]["intervals"]["accuracy_not_in_train"]
    assert low <= config["metrics"]["accuracy_not_in_train"] <= high
    assert card.count(f" | {low:.4f} to {high:.4f} |") >= 1


def a_run(run: Path, data: Path) -> tuple[Path, Path]:
    """What one epoch leaves behind, with the embedded network in place of a trained one, and its pictures."""
    random = np.random.default_rng(0)
    for index in range(56):
        split, emotion = ("train", "validation")[index % 2], EMOTIONS[index // 2 % 7]
        folder = data / "images" / split / emotion
        folder.mkdir(parents=True, exist_ok=True)
        blots = Image.fromarray(random.integers(0, 256, (4, 4), np.uint8))
        blots.resize((48, 48), Image.Resampling.BICUBIC).save(folder / f"{index}.png")
    (run / "predictions").mkdir(parents=True)
    (run / "figures").mkdir()
    Image.new("RGB", (8, 8)).save(run / "figures" / "curves.png")
    network, config = torch_network(EmotionClassifier.from_pretrained("simplecnn")), Config(epochs=1)
    torch.save({"network": network.state_dict(), "epoch": 1}, run / "best.pt")
    inputs, _ = to_device(load_split(data, "validation"), config, torch.device("cpu"))
    np.save(run / "predictions" / "001.npy", predict(network, inputs, bf16=False).numpy())
    (run / "config.json").write_text(json.dumps(dataclasses.asdict(config)))
    (run / "history.csv").write_text("epoch\n1\n")
    return run, data


def test_a_dry_run_shows_all_and_asks_nothing(
    hub: Hub, quick_export: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    cli.main([*MODEL, "--dry-run"])
    output = capsys.readouterr().out
    sha256 = hashlib.sha256((EMBEDDED / "model.safetensors").read_bytes()).hexdigest()
    assert all(re.search(rf"^[0-9a-f]{{64}} +[0-9,]+  {name}$", output, re.MULTILINE) for name in MODEL_FILES)
    assert sha256 in output and "model-index:" in output and "## Responsible use" in output
    assert hub.requests == []


def test_the_onnx_export_says_the_same_for_any_number_of_faces(exported: tuple[Path, float]) -> None:
    file, parity = exported
    assert parity <= onnx_export.MAX_PARITY_ERROR
    classifier, pictures = EmotionClassifier.from_pretrained("simplecnn"), onnx_export.sample_crops()
    assert onnx_export.parity_error(classifier, file, pictures[:1]) < onnx_export.MAX_PARITY_ERROR
    classifier.config["temperature"] *= 1.05
    assert onnx_export.parity_error(classifier, file, pictures) > onnx_export.MAX_PARITY_ERROR


def test_the_onnx_file_says_how_to_use_it(exported: tuple[Path, float]) -> None:
    import onnxruntime

    known = onnxruntime.InferenceSession(exported[0]).get_modelmeta().custom_metadata_map
    config = EmotionClassifier.from_pretrained("simplecnn").config
    assert json.loads(known["labels"]) == config["labels"]
    assert json.loads(known["normalisation"]) == config["normalisation"]


@pytest.mark.parametrize("arguments", [MODEL, SPACE], ids=["model", "space"])
@pytest.mark.parametrize(
    ("token", "sentence"),
    [("hf_unknown", "does not accept the token"), (READER, "may not write to")],
    ids=["unknown", "may only read"],
)
def test_a_token_that_does_not_do(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch, arguments: list[str], token: str, sentence: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    assert sentence in refused(arguments)
    assert uploads.hub.repositories == {}


@pytest.mark.parametrize("arguments", [MODEL, SPACE], ids=["model", "space"])
def test_no_token(uploads: Uploads, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str]) -> None:
    from huggingface_hub import constants

    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    assert "There is no token" in refused(arguments)
    assert uploads.hub.requests == []


def test_a_repository_of_somebody_else(hub: Hub, uploads: Uploads) -> None:
    assert "may not write to them/theirs" in refused(["model", "--folder", str(EMBEDDED), "--repo", "them/theirs"])


def test_somebody_elses_model_gets_a_pull_request(
    hub: Hub, uploads: Uploads, capsys: pytest.CaptureFixture[str]
) -> None:
    main = hub.publish("them/theirs", {"README.md": b"theirs"})
    cli.main(["model", "--folder", str(EMBEDDED), "--repo", "them/theirs", "--pr"])
    output = capsys.readouterr().out
    assert "Pull request: " in output and "them/theirs/discussions/1" in output and "Downloaded and compared" in output
    assert uploads.pull_requests == [main] == [hub.repositories["them/theirs"].main]


def test_a_pin_that_cannot_be_written_is_told_after_publishing(
    uploads: Uploads, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refused([*MODEL, "--write-env", str(tmp_path / "none" / ".env")])
    assert (
        "none/.env cannot be written" in sentence
        and f"FACEMOTION_WEIGHTS={reference_in(capsys.readouterr().out)}" in sentence
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["model", "--folder", "no-such-folder", "--repo", REPO], "There is no folder no-such-folder"),
        (["model", "--run", "no-such-run", "--data", ".", "--repo", REPO], "is no run with a finished epoch"),
        (["model", "--folder", str(EMBEDDED.parent / "yunet"), "--repo", REPO], "holds no model.safetensors"),
        ([*MODEL, "--figures", "no-such-folder"], "There is no folder no-such-folder"),
        (["model", "--folder", str(EMBEDDED), "--repo", f"{REPO}@main"], "write owner/name"),
        (["space", "--repo", "demo"], "is no model reference"),
        ([*SPACE, "--weights", f"{REPO}@main"], "may come to mean other weights"),
        ([*SPACE, "--weights", "simplecnn"], "is no model reference"),
    ],
)
def test_what_cannot_be_published(hub: Hub, arguments: list[str], sentence: str) -> None:
    assert sentence in refused([*arguments, "--dry-run"])
    assert hub.requests == []
