"""How the commands of the kit end when the data are not there or a place cannot be written: with a sentence."""

import importlib
import re
import sys

import pytest

from tests.support.training.tree import write_tree
from training.common import cli_errors

COMMANDS = {
    "check": "data.inspect",
    "evaluate": "evaluation.evaluate",
    "export": "export",
    "figures": "figures.run_figures",
    "framing": "data.crop_margin",
    "train": "train",
}


@pytest.mark.parametrize("part", sorted(COMMANDS))
def test_every_command_refuses_with_a_sentence(tmp_path, monkeypatch, capsys, part):
    flags = {"--data": tmp_path / "nowhere", "--out": tmp_path / "out"}
    flags |= {"evaluate": {"--weights": "simplecnn"}, "export": {"--run": tmp_path}}.get(part, {})
    if part == "framing":
        del flags["--out"]
    monkeypatch.setattr(sys, "argv", [part, *(str(word) for pair in flags.items() for word in pair)])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"training.expression.{COMMANDS[part]}").main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    expected = "holds no best.pt" if part == "export" else "nowhere does not exist: name a folder"
    assert expected in said and said.endswith(".\n") and "Traceback" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", ["train", "check", "evaluate", "figures"])
def test_a_place_that_cannot_be_written_is_named(tmp_path, monkeypatch, capsys, part):
    tree = write_tree(tmp_path / "data")
    (tmp_path / "file").touch()
    flags = {"--data": tree, "--out": tmp_path / "file" / "out"}
    flags |= {"evaluate": {"--weights": "simplecnn", "--resamples": 2}, "train": {"--epochs": 1}}.get(part, {})
    monkeypatch.setattr(sys, "argv", [part, *(str(word) for pair in flags.items() for word in pair)])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"training.expression.{COMMANDS[part]}").main()
    assert ended.value.code == 2
    assert re.search(r"file\S* cannot be read or written: Not a directory\.\n$", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"junk", r"last\.pt is damaged, or no checkpoint"), (None, r"holds no last\.pt to go on from")],
)
def test_a_run_that_cannot_go_on_is_told(tmp_path, monkeypatch, capsys, content, sentence):
    if content:
        (tmp_path / "last.pt").write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["train", "--data", str(tmp_path), "--out", str(tmp_path), "--resume"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("training.expression.train").main()
    assert ended.value.code == 2
    assert re.search(sentence + r".*\.\n$", capsys.readouterr().err)


def test_a_fault_of_the_program_keeps_its_traceback():
    for fault in (OSError("no file in it"), KeyError("x")):
        with pytest.raises(type(fault)), cli_errors.exit_on_error():
            raise fault
