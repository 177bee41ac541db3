"""The app as a Space: which files travel, what they serve, and what is said when it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from facemotion import settings
from facemotion.settings import Reference
from tests.support.hub import publishing
from tests.support.hub.downloads import Faults, Hub
from tests.support.hub.publishing import DEMO, EMBEDDED, PIN, REPO, SPACE, refused
from tests.support.hub.uploads import Uploads
from training.publish import cli, space

pytestmark = [*publishing.MARKS, pytest.mark.slow]
uploads, quick_export, published = publishing.uploads, publishing.quick_export, publishing.published


def test_a_space_holds_exactly_the_files_of_the_app(hub: Hub, uploads: Uploads) -> None:
    hub.publish(f"spaces/{DEMO}", {".gitattributes": b"", "tests/old.py": b"", ".env": b"", "app.py": b"old"})
    cli.main(SPACE)
    files = uploads.files(f"spaces/{DEMO}")
    tops = {path.split("/")[0] for path in files}
    assert tops == {"app.py", "facemotion", "requirements.txt", "README.md", "LICENSE", "NOTICE"}
    assert files["app.py"] == (space.ROOT / "app.py").read_bytes()
    assert set(files) >= {"facemotion/webui/page.py", f"facemotion/assets/{settings.CLASSIFIER}/model.safetensors"}
    assert not [path for path in files if "__pycache__" in path or "/." in path]
    assert uploads.variables == {}


def test_a_space_lacks_nothing_of_the_package() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "facemotion"], cwd=space.ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a clone: what belongs to the package is not on record")
    assert set(listed.stdout.splitlines()) <= set(space.files())


@pytest.mark.parametrize(
    "path", [".env", "secret.json", "notes.md", "assets/runs/best.pt", "__pycache__/a.py", ".hidden/a.py", "a.py.orig"]
)
def test_what_lies_about_in_the_package_stays_at_home(tmp_path: Path, path: str) -> None:
    root = small_project(tmp_path)
    expected = set(space.files(root))
    (root / "facemotion" / path).parent.mkdir(parents=True, exist_ok=True)
    (root / "facemotion" / path).write_text("secret")
    assert set(space.files(root)) == expected


def small_project(folder: Path) -> Path:
    assets = folder / "facemotion" / "assets"
    assets.mkdir(parents=True)
    for name in (*space.BESIDE, space.README, "facemotion/__init__.py", "facemotion/assets/a.css"):
        (folder / name).write_text("---\ntitle: x\n---\n")
    (assets / "SHA256SUMS").write_text("")
    return folder


ALONE = """
import importlib.util, pathlib, app, facemotion, gradio
assert pathlib.Path(facemotion.__file__).is_relative_to(pathlib.Path.cwd())
assert not any(importlib.util.find_spec(name) for name in ("training", "tests", "benchmarks"))
analysis = facemotion.Pipeline.from_pretrained().analyze("facemotion/assets/examples/astronaut.png")
print(isinstance(app.demo, gradio.Blocks), len(analysis.faces))
"""


def test_what_travels_runs_alone(tmp_path: Path) -> None:
    for path, content in space.files(weights=Reference.parse(PIN)).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FACEMOTION_", "PYTHON"))}
    done = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=tmp_path, env=kept, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.stdout.split() == ["True", "1"], done.stderr


def test_a_space_fetches_and_serves_the_weights_that_were_pinned(
    uploads: Uploads, published: Reference, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main([*SPACE, "--weights", f"{REPO}@{published.revision}"])
    output = capsys.readouterr().out
    front_matter = yaml.safe_load(uploads.files(f"spaces/{DEMO}")["README.md"].decode().split("---\n")[1])
    assert front_matter["preload_from_hub"] == [f"{REPO} model.safetensors,config.json {published.revision}"]
    assert REPO in front_matter["models"]
    assert uploads.variables == {DEMO: {"FACEMOTION_WEIGHTS": str(published)}}
    assert f"/spaces/{DEMO}" in output and "may need a paid plan" in output


def test_private_weights_need_a_secret_and_are_fetched_at_the_start(
    uploads: Uploads, published: Reference, capsys: pytest.CaptureFixture[str]
) -> None:
    uploads.private.add(REPO)
    cli.main([*SPACE, "--weights", str(published)])
    output = capsys.readouterr().out
    assert f"{REPO} is private or gated" in output and "a secret named HF_TOKEN" in output
    assert f"/spaces/{DEMO}/settings" in output
    front_matter = yaml.safe_load(uploads.files(f"spaces/{DEMO}")["README.md"].decode().split("---\n")[1])
    assert "preload_from_hub" not in front_matter and REPO in front_matter["models"]
    assert uploads.variables == {DEMO: {"FACEMOTION_WEIGHTS": str(published)}}


def test_the_readme_of_a_space_links_nothing_that_is_not_there() -> None:
    files = space.files()
    text = files["README.md"].decode()
    targets = [link["target"] for link in space.LINK.finditer(text)]
    assert "LICENSE" in targets and any("://" in target for target in targets)
    assert [target for target in targets if "://" not in target and target not in files] == []
    assert "SECURITY.md (in the project's sources)" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](LICENSE#top) [b](https://x/y.md) [c](#part)", "[a](LICENSE#top) [b](https://x/y.md) [c](#part)"),
        ("See [b](docs/b.md).", "See b (in the project's sources)."),
        ("a\n![c](docs/c.png)\nb ![d](LICENSE)", "a\n\nb ![d](LICENSE)"),
    ],
)
def test_dangling_links_become_text(text: str, expected: str) -> None:
    assert space.without_dangling_links(text, {"LICENSE"}) == expected


def test_the_readme_keeps_all_else_that_configures_the_space() -> None:
    text = (space.ROOT / "README.md").read_text("utf-8")
    before, after = (
        (yaml.safe_load(readme.split("---\n")[1]), readme.split("---\n", 2)[2])
        for readme in (text, space.readme(text, Reference.parse(PIN)))
    )
    assert after[1] == before[1]
    assert {name: after[0][name] for name in before[0] if name != "models"} == {
        name: value for name, value in before[0].items() if name != "models"
    }


def test_a_dry_run_of_a_space_asks_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    cli.main([*SPACE, "--weights", PIN, "--dry-run"])
    output = capsys.readouterr().out
    assert "app.py" in output and f"FACEMOTION_WEIGHTS={PIN}" in output and "Published" not in output
    assert "If you/facemotion is private or gated, the Space needs a secret named HF_TOKEN" in output
    assert hub.requests == []


def test_weights_that_the_app_cannot_load_are_not_served(hub: Hub, uploads: Uploads) -> None:
    files = {name: (EMBEDDED / name).read_bytes() for name in ("model.safetensors", "config.json")}
    config = json.loads(files["config.json"])
    config["labels"].reverse()
    revision = hub.publish(REPO, files | {"config.json": json.dumps(config).encode()})
    assert "The labels are" in refused([*SPACE, "--weights", f"{REPO}@{revision}"])
    assert f"spaces/{DEMO}" not in hub.repositories


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(400, "status 400"), (404, "may not write"), (429, "asks to wait"), (500, "status 500"), (503, "status 503")],
)
def test_what_the_hub_answers_instead(uploads: Uploads, status: int, sentence: str) -> None:
    uploads.hub.faults = Faults(status=Counter({status: 9}))
    assert sentence in refused(SPACE)


def test_a_space_that_wants_a_paid_plan(uploads: Uploads) -> None:
    uploads.payment_required = True
    assert "wants a paid plan" in refused(SPACE)


def test_a_hub_that_is_down(uploads: Uploads) -> None:
    uploads.hub.__exit__()
    assert "The Hub cannot be reached" in refused(SPACE)
