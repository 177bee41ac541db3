"""Files of the app as a Space, and the README that configures it."""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path

import yaml

from facemotion.expression.classifier import CONFIG_FILE, WEIGHTS_FILE
from facemotion.settings import Reference
from facemotion.weights import CHECKSUMS

ROOT = Path(__file__).resolve().parents[2]
README = "README.md"
BESIDE = ("app.py", "requirements.txt", "LICENSE", "NOTICE")
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^]]*)\]\((?P<target>[^)\s]+)\)")  # [text](target), ![text](target)
# Of the package: code, looks and example photos by their kind, all else only if its checksum is listed. What somebody
# left lying about (a .env, a note, a checkpoint) is of no such kind.
KINDS = {".py", ".typed", ".css", ".js", ".svg", ".png", ".jpg"}


def files(root: Path = ROOT, weights: Reference | None = None, preload: bool = True) -> dict[str, bytes]:
    """Every file of the Space, by its path there: the app's, and nothing else of the project.

    Args:
        root: the project's folder.
        weights: pinned; what the Space shall serve.
        preload: fetch them when the Space is built, not when it starts.
    """
    content = {name: (root / name).read_bytes() for name in BESIDE}
    content |= {file.relative_to(root).as_posix(): file.read_bytes() for file in package_files(root / "facemotion")}
    text = without_dangling_links((root / README).read_text("utf-8"), {README, *content})
    content[README] = readme(text, weights, preload).encode()
    return dict(sorted(content.items()))


def package_files(package: Path) -> list[Path]:
    """The files of the package that the app needs to run, its embedded weights included."""
    assets = package / "assets"
    listed = [line.split(maxsplit=1)[1] for line in (assets / CHECKSUMS).read_text("utf-8").splitlines() if line]
    return [
        assets / CHECKSUMS,
        *(assets / path for path in listed),
        *(file for file in package.rglob("*") if file.suffix in KINDS and not is_hidden(file, package)),
    ]


def is_hidden(file: Path, package: Path) -> bool:
    return any(part.startswith((".", "__pycache__")) for part in file.relative_to(package).parts)


def without_dangling_links(text: str, there: Container[str]) -> str:
    """The Markdown without pictures, and with the bare text of links, whose file is not `there`."""

    def mend(link: re.Match[str]) -> str:
        target = link["target"].partition("#")[0]
        if not target or ":" in target or target in there:
            return link[0]
        return "" if link["image"] else f"{link['text']} (in the project's sources)"

    return LINK.sub(mend, text)


def readme(text: str, weights: Reference | None, preload: bool = True) -> str:
    """The README, with those weights in its front matter: named as its model, and built into the Space with
    `preload`."""
    if weights is None:
        return text
    _, front_matter, rest = text.split("---\n", 2)
    content = yaml.safe_load(front_matter)
    content["models"] = [*dict.fromkeys([*content.get("models", []), weights.repo])]
    if preload:
        content["preload_from_hub"] = [f"{weights.repo} {WEIGHTS_FILE},{CONFIG_FILE} {weights.revision}"]
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---\n{rest}"
