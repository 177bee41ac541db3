"""What the tests of publishing share: a Hub that takes uploads, the embedded weights published, the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from facemotion import EmotionClassifier
from facemotion.settings import Reference
from tests.support.hub.downloads import Hub
from tests.support.hub.uploads import OWNER, WRITER, Uploads
from training.expression import onnx_export
from training.publish import cli, space

EMBEDDED = Path(space.ROOT) / "facemotion" / "assets" / "simplecnn"
REPO = f"{OWNER}/facemotion"
DEMO = f"{OWNER}/facemotion-demo"
PIN = f"{REPO}@{'a' * 40}#{'b' * 64}"
MODEL = ["model", "--folder", str(EMBEDDED), "--repo", REPO]
SPACE = ["space", "--repo", DEMO]
MARKS = [
    pytest.mark.timeout(300),
    # huggingface_hub 2.4 hands large files to httpx2 as `data`.
    pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload:DeprecationWarning"),
]


@pytest.fixture
def quick_export(exported: tuple[Path, float], monkeypatch: pytest.MonkeyPatch) -> None:
    def copy(classifier: EmotionClassifier, file: Path) -> float:
        file.write_bytes(exported[0].read_bytes())
        return exported[1]

    monkeypatch.setattr(onnx_export, "export", copy)


@pytest.fixture
def uploads(hub: Hub, quick_export: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Uploads]:
    monkeypatch.setenv("HF_TOKEN", WRITER)
    monkeypatch.delenv("FACEMOTION_WEIGHTS", raising=False)
    yield Uploads(hub)


@pytest.fixture
def published(uploads: Uploads, capsys: pytest.CaptureFixture[str]) -> Reference:
    """The pinned reference that publishing the embedded weights prints."""
    cli.main(MODEL)
    return reference_in(capsys.readouterr().out)


def reference_in(output: str) -> Reference:
    found = re.search(rf"^{REPO}@[0-9a-f]{{40}}#[0-9a-f]{{64}}$", output, re.MULTILINE)
    assert found, output
    return Reference.parse(found[0])


def refused(arguments: list[str]) -> str:
    """What is said on the way out, with status 1; no token in it."""
    with pytest.raises(SystemExit) as exit_:
        cli.main(arguments)
    sentence = str(exit_.value)
    assert "hf_" not in sentence
    assert re.match(r"[A-Z'\w-].*\.$|.*requirements-train\.txt$|.*huggingface\.co/pricing$", sentence), sentence
    return sentence
