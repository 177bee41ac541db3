"""`--init-weights`: a run that begins from published weights, what it records of them, and which ones it refuses."""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from facemotion import EMOTIONS
from facemotion.errors import WeightsError
from facemotion.expression.classifier import CONFIG_FILE, WEIGHTS_FILE
from facemotion.weights import embedded, sha256
from tests.support.hub.downloads import Hub
from tests.support.models import model_folders
from tests.support.training.tree import write_tree
from training.common.errors import DataError
from training.expression import export, initial_weights, networks, train
from training.expression.config import Config, ConfigError
from training.expression.evaluation import scorers
from training.reports import paper_results

pytestmark = pytest.mark.slow

TERMS = "For tests and nothing else."
CONFIG = Config(epochs=1, batch_size=14, learning_rate=1e-30)  # which moves no weight


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with weights that no seed of a run gives."""
    torch.manual_seed(77)
    tensors = export.cast_tensors(networks.build("simplecnn").state_dict(), torch.float16)
    folder = model_folders.write(tmp_path_factory.mktemp("models") / "published", tensors)
    content = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps(content | {"terms": TERMS}))
    return folder


def begun(start: str, **knobs: object) -> tuple[dict[str, torch.Tensor], str]:
    config = dataclasses.replace(CONFIG, init_weights=start, **knobs)
    network = networks.build(config.network)
    origin = initial_weights.load_initial(network, config)
    return network.state_dict(), origin


def assert_same(found: dict[str, torch.Tensor], file: Path) -> None:
    for name, tensor in load_file(file).items():
        assert torch.equal(found[name], tensor.to(found[name].dtype)), name


def test_begins_from_a_folder(model: Path) -> None:
    found, origin = begun(str(model))
    assert_same(found, model / WEIGHTS_FILE)
    assert origin == f"published#{sha256(model / WEIGHTS_FILE)}"


@pytest.mark.parametrize("name", ["simplecnn", "default"])
def test_begins_from_the_weights_that_are_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMOTION_WEIGHTS", "simplecnn")
    found, origin = begun(name)
    assert_same(found, embedded("simplecnn") / WEIGHTS_FILE)
    assert origin == f"simplecnn#{sha256(embedded('simplecnn') / WEIGHTS_FILE)}"


def test_default_weights_that_cannot_be_had_are_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEMOTION_WEIGHTS", "no-such-model")
    with pytest.raises(ConfigError, match="no-such-model was asked for, but the embedded weights serve"):
        begun("default")


def test_begins_from_the_hub_and_pins_what_it_found(hub: Hub, model: Path) -> None:
    revision = hub.publish("you/mine", {name: (model / name).read_bytes() for name in (WEIGHTS_FILE, CONFIG_FILE)})
    checksum = sha256(model / WEIGHTS_FILE)
    for start in ("you/mine", f"you/mine@{revision}", f"you/mine@{revision}#{checksum}"):
        found, origin = begun(start)
        assert_same(found, model / WEIGHTS_FILE)
        assert origin == f"you/mine@{revision}#{checksum}"
    with pytest.raises(WeightsError, match="does not have the SHA-256"):
        begun(f"you/mine@{revision}#{'0' * 64}")
    with pytest.raises(WeightsError, match="you/none"):
        begun("you/none")


@pytest.mark.parametrize(
    ("change", "knobs", "sentence"),
    [
        ({}, {"network": "emotionnet"}, r"published need --network simplecnn$"),
        ({}, {"mean": 0.4, "std": 0.3}, r"need --mean 0\.5 --std 0\.25$"),
        ({"labels": ["happy"]}, {}, "The labels are"),
        (None, {}, "is not JSON"),
    ],
)
def test_what_does_not_fit_is_refused(
    model: Path, tmp_path: Path, change: dict[str, object] | None, knobs: dict[str, object], sentence: str
) -> None:
    folder = shutil.copytree(model, tmp_path / "published")
    content = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text("{" if change is None else json.dumps(content | change))
    with pytest.raises((ConfigError, WeightsError), match=sentence):
        begun(str(folder), **knobs)


def test_other_tensors_are_refused(model: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(model, tmp_path / "published")
    save_file({"head.weight": torch.zeros(7, 3)}, folder / WEIGHTS_FILE)
    with pytest.raises(WeightsError, match=r"does not fit the network: .* head\.weight is unknown"):
        begun(str(folder))
    (folder / WEIGHTS_FILE).write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(WeightsError, match="not in the safetensors format"):
        begun(str(folder))
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(WeightsError, match=r"published holds no model\.safetensors"):
        begun(str(folder))


BIASES = {emotion: (number - 3) / 4 for number, emotion in enumerate(EMOTIONS)}


@pytest.mark.parametrize("recipe", [{}, {"logit_adjustment": None}, {"logit_adjustment": {"biases": BIASES}}])
def test_several_heads_begin_from_the_one_of_emotionnet(tmp_path: Path, recipe: dict[str, object]) -> None:
    torch.manual_seed(78)
    tensors = networks.build("emotionnet").state_dict()
    folder = model_folders.write(tmp_path / "single", tensors, "emotionnet", recipe=recipe)
    found, origin = begun(str(folder), network="multihead")
    assert origin.startswith("single#")
    added = torch.tensor(list(BIASES.values())) if recipe.get("logit_adjustment") else torch.zeros(7)
    for name in networks.HEADS:
        assert torch.equal(found[f"heads.{name}.weight"], tensors["head.3.weight"])
        assert torch.allclose(found[f"heads.{name}.bias"] + added, tensors["head.3.bias"], atol=1e-6)
    trunk = {name: tensor for name, tensor in tensors.items() if not name.startswith("head.")}
    assert all(torch.equal(found[name], tensor) for name, tensor in trunk.items())


def test_several_heads_begin_from_several(tmp_path: Path) -> None:
    torch.manual_seed(79)
    tensors = networks.build("multihead").state_dict() | {"mix": torch.tensor([0.2, 0.4, 0.3, 0.1])}
    folder = model_folders.write(tmp_path / "several", tensors, "multihead")
    found, _ = begun(str(folder), network="multihead")
    assert_same(found, folder / WEIGHTS_FILE)
    with pytest.raises(ConfigError, match="several need --network multihead"):
        begun(str(folder), network="emotionnet")


@pytest.fixture(scope="module")
def run(model: Path, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One epoch from the model folder, which was then taken away, and one more."""
    place = tmp_path_factory.mktemp("run")
    start = shutil.copytree(model, place / "model")
    config = dataclasses.replace(CONFIG, init_weights=str(start))
    train.train(config, tree, place / "run", device="cpu")
    shutil.rmtree(start)
    train.train(dataclasses.replace(config, epochs=2), tree, place / "run", resume=True, device="cpu")
    return place / "run"


def test_a_run_learns_on_from_them(run: Path, model: Path) -> None:
    saved = torch.load(run / "last.pt", weights_only=True)
    assert saved["epoch"] == 2
    learned = {n for n, _ in networks.build("simplecnn").named_parameters()}  # the statistics of batch norm do move
    published = load_file(model / WEIGHTS_FILE)
    assert all(torch.allclose(saved["network"][name], published[name].float(), atol=1e-20) for name in learned)


def test_the_run_records_what_it_began_from_and_no_path(run: Path, model: Path) -> None:
    text = (run / "config.json").read_text()
    assert json.loads(text)["init_weights"] == f"model#{sha256(model / WEIGHTS_FILE)}"
    assert str(run.parent) not in text
    assert paper_results.deviations(json.loads(text))[0].startswith("init_weights 'model#")
    assert scorers.load_model(str(run)).description.startswith("simplecnn, epoch ")


def test_its_export_says_so(run: Path, tree: Path, tmp_path: Path) -> None:
    config = export.export(run, tree, tmp_path / "model")
    assert config["data"].startswith("Pictures of the publisher's own: trained on 42 pictures of train;")
    assert "It was initialised with model#" in config["data"]
    assert config["terms"] == TERMS and config["data"].endswith(TERMS) and "terms" not in config["recipe"]


def test_it_goes_on_with_the_same_flag_or_none_but_no_other(run: Path, tree: Path) -> None:
    saved = train.saved_config(run)
    assert train.resumed_config(saved, {"init_weights": saved.init_weights}) == train.resumed_config(saved, {}) == saved
    with pytest.raises(ConfigError, match="a run goes on with its own recipe, which has --init-weights"):
        train.resumed_config(saved, {"init_weights": "simplecnn"})


def test_the_command_says_what_is_wrong(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--data", str(tree), "--out", str(tmp_path / "run"), "--init-weights", "no-such-model"]
    monkeypatch.setattr(sys, "argv", ["train", *flags])
    with pytest.raises(SystemExit) as ended:
        train.main()
    assert ended.value.code == 2
    assert "No classifier is called 'no-such-model'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_only_with_the_pictures_it_was_judged_on(run: Path, tree: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tree, tmp_path / "data")
    (other / "images" / "validation" / "sad" / "0.png").unlink()
    with pytest.raises(DataError, match="validated on other images so far: name the --data it began with"):
        train.train(dataclasses.replace(CONFIG, epochs=3), other, run, resume=True, device="cpu")
