"""Publishes to the Hugging Face Hub: a model, a face detector, or the app as a Space that serves them.

    python -m training.publish model --folder facemotion/assets/simplecnn --repo you/facemotion --dry-run
    python -m training.publish model --run runs/study --data fer2013 --repo you/facemotion --write-env .env
    python -m training.publish detector --folder facemotion/assets/yolo --results detectors.json --repo you/faces
    python -m training.publish space --repo you/facemotion-demo --weights you/facemotion@<revision>#<sha256>

The first shows every file and the model card, and asks the Hub nothing. The second publishes in one commit, downloads
what it published, compares, and prints the pinned reference that the last, and FACEMOTION_WEIGHTS, take; the third does
the same for FACEMOTION_DETECTOR. The token is that of HF_TOKEN or of `hf auth login`; it needs the right to write.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from facemotion import EmotionClassifier, FaceDetector, images, weights
from facemotion.detectors.onnx_yolo import WEIGHTS_FILE as DETECTOR_FILE
from facemotion.errors import FacemotionError
from facemotion.expression.classifier import WEIGHTS_FILE
from facemotion.settings import Reference
from training.common.errors import DataError
from training.expression.onnx_export import sample_crops
from training.publish import detector_card, hub, model_repo, space
from training.publish.hub import PublishError
from training.publish.model_repo import CARD, digest

VARIABLE = "FACEMOTION_WEIGHTS"
DETECTOR_VARIABLE = "FACEMOTION_DETECTOR"
PHOTO = Path(space.ROOT) / "facemotion" / "assets" / "examples" / "astronaut.png"
ANY_BOX = 0.05  # of a score: also boxes that are no faces, and would tell two networks apart
TOLERANCE = 1e-6  # of a probability: the same bytes, computed twice
# Secrets are what a Space's settings hand to the running app; nothing says that a build sees them.
SECRET = (
    "If {weights} is private or gated, the Space needs a secret named HF_TOKEN, a token that may read it: set it at "
    "{endpoint}/spaces/{repo}/settings. Without it the embedded weights serve, and the page says so."
)
CLOSED = "{weights} is private or gated: it is fetched when the Space starts, not when it is built."


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments)
    try:
        options.command(options)
    except (PublishError, FacemotionError, DataError) as error:
        raise SystemExit(f"{str(error).rstrip('.')}.") from None


def publish_model(options: argparse.Namespace) -> None:
    """Builds, shows, uploads and verifies a model, and pins it."""
    check_name(options.repo)
    api = None if options.dry_run else hub.connect()
    with TemporaryDirectory() as scratch:
        folder = options.folder or model_repo.from_run(options.run, options.data, options.votes, Path(scratch))
        figures = options.figures or model_repo.figures_of(options.run)
        classifier, files = model_repo.collect(folder, options.repo, figures, Path(scratch))
    if reference := upload(api, files, WEIGHTS_FILE, options):
        verify(reference, files, lambda: same_probabilities(reference, classifier), "probabilities")
        pin(reference, VARIABLE, "probabilities", options.write_env)


def publish_detector(options: argparse.Namespace) -> None:
    """Shows, uploads and verifies a detector, and pins it."""
    check_name(options.repo)
    api = None if options.dry_run else hub.connect()
    detector, files = detector_card.collect(options.folder, options.repo, options.results, options.figures)
    if reference := upload(api, files, DETECTOR_FILE, options):
        verify(reference, files, lambda: same_boxes(reference, detector), "boxes")
        pin(reference, DETECTOR_VARIABLE, "boxes", options.write_env)


def upload(api: Any, files: Mapping[str, bytes], weights_file: str, options: argparse.Namespace) -> Reference | None:
    """Shows the files, and uploads them in one commit; returns the pinned reference, None for a dry run."""
    show(files, options.repo)
    if api is None:
        print(f"\n{files[CARD].decode()}\nDry run: nothing was sent.")
        return None
    commit = {"commit_message": options.message, "create_pr": options.pr}
    reference = hub.upload_model(api, options.repo, files, weights_file, **commit)
    print(f"\n{reference}\n")
    return reference


def publish_space(options: argparse.Namespace) -> None:
    """Uploads the app, and lets it serve the weights that were named."""
    check_name(options.repo)
    reference = pinned(options.weights) if options.weights else None
    api = None if options.dry_run else hub.connect()
    if api and reference:
        reference = complete(reference)
    closed = bool(api and reference and hub.is_closed(api, reference.repo))
    files = space.files(weights=reference, preload=not closed)
    show(files, f"spaces/{options.repo}")
    serves = f"={reference}" if reference else " is left as it is; unset, the embedded weights serve."
    print(f"\n{VARIABLE}{serves}\n{hub.HOSTING}")
    if reference:
        print(about_access(reference, options.repo, closed))
    if api is None:
        print("Dry run: nothing was sent.")
        return
    hub.upload_space(api, options.repo, files, {VARIABLE: str(reference)} if reference else {})
    print(f"Published. It is built now, which takes some minutes: {api.endpoint}/spaces/{options.repo}")


def check_name(repo: str) -> None:
    if Reference.parse(repo) != Reference(repo):
        raise PublishError(f"--repo names where to publish: write owner/name, not {repo!r}.")


def pinned(text: str) -> Reference:
    reference = Reference.parse(text)
    if not reference.pinned:
        raise PublishError(
            f"{text} may come to mean other weights. Name them by their commit, owner/name@<40 hexadecimal digits>: "
            "`python -m training.publish model` prints it."
        )
    return reference


def complete(reference: Reference) -> Reference:
    """With the checksum of the weights, which are fetched and loaded to see that this version of the app can."""
    EmotionClassifier.from_pretrained(str(reference))
    return weights.pinned(reference, weights.resolve(reference, WEIGHTS_FILE))


def about_access(reference: Reference, repo: str, closed: bool) -> str:
    """What a Space needs to fetch the weights."""
    secret = SECRET.format(weights=reference.repo, repo=repo, endpoint=hub.endpoint())
    return f"{CLOSED.format(weights=reference.repo)}\n{secret}" if closed else secret


def show(files: Mapping[str, bytes], repo: str) -> None:
    print(f"{repo}: {len(files)} files, {sum(map(len, files.values())) / 1e6:.1f} MB, in one commit")
    for path, content in files.items():
        print(f"{digest(content)}  {len(content):>10,}  {path}")


def verify(reference: Reference, files: Mapping[str, bytes], same: Callable[[], bool], what: str) -> None:
    """Downloads every file at its pinned revision, as the app would, and compares the bytes and the answers.

    Raises:
        PublishError: a file cannot be had, or is not the one that was published, or `what` it answers differs.
    """
    try:
        for path, content in files.items():
            weights.resolve(replace(reference, sha256=digest(content)), path)
        equal = same()
    except FacemotionError as error:
        raise PublishError(f"{reference} is published, but could not be compared. {error}") from error
    if not equal:
        raise PublishError(f"{reference} is published, but its {what} differ: do not use it.")


def same_probabilities(reference: Reference, classifier: EmotionClassifier) -> bool:
    served, crops = EmotionClassifier.from_pretrained(str(reference)), sample_crops()
    return float(np.abs(served.classify(crops) - classifier.classify(crops)).max()) <= TOLERANCE


def same_boxes(reference: Reference, detector: FaceDetector) -> bool:
    finders, photo = (FaceDetector.from_pretrained(str(reference)), detector), images.load(PHOTO)
    served, expected = (finder.detect(photo, threshold=ANY_BOX) for finder in finders)
    return all(a.shape == b.shape and np.allclose(a, b, atol=1e-3) for a, b in zip(served, expected, strict=True))


def pin(reference: Reference, variable: str, what: str, env: Path | None) -> None:
    """Says how to serve what was published, and sets the variable in the file `env`, if one was named."""
    if env:
        write_env(env, reference, variable)
    print(f"Downloaded and compared: the same files, the same {what}. Serve it: {variable}={reference}")


def write_env(file: Path, reference: Reference, variable: str) -> None:
    """Sets a variable in a file of NAME=value lines; its other lines stay.

    Raises:
        PublishError: the file cannot be written; the message holds the line.
    """
    line = f"{variable}={reference}"
    try:
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        kept = [line for line in lines if line.removeprefix("export ").partition("=")[0].strip() != variable]
        file.write_text("\n".join([*kept, line]) + "\n", "utf-8")
    except OSError as error:
        raise PublishError(
            f"The model is published, but {file} cannot be written ({error.strerror}). The line to put there: {line} ."
        ) from error


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.publish", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="model | detector | space")
    model = commands.add_parser("model", help="weights, configuration, ONNX, figures and card -> one commit")
    model.set_defaults(command=publish_model)
    source = model.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="a run directory of training.expression.train; needs --data")
    source.add_argument("--folder", type=Path, help="a model folder, as training.expression.export writes it")
    model.add_argument("--data", type=Path, nargs="+", default=[], help="the pictures that the run was trained on")
    model.add_argument("--votes", type=Path, help="FER+'s votes, where the run learned from them")
    finder = commands.add_parser("detector", help="an exported detector, with its card -> one commit")
    finder.set_defaults(command=publish_detector)
    finder.add_argument("--folder", type=Path, required=True, help="as training.detector.export writes it")
    finder.add_argument("--results", type=Path, help="detectors.json of training.detector.evaluate, for the card")
    for kind, variable in ((model, VARIABLE), (finder, DETECTOR_VARIABLE)):
        kind.add_argument("--repo", required=True, help="where to publish: owner/name; made if it does not exist")
        default = " (RUN/figures)" if kind is model else ""
        kind.add_argument("--figures", type=Path, help=f"a folder of pictures for the card{default}")
        kind.add_argument("--message", default="Publish the model", help="of the commit (%(default)s)")
        kind.add_argument("--pr", action="store_true", help="open a pull request instead of committing to main")
        kind.add_argument(
            "--write-env", type=Path, metavar="FILE", help=f"set {variable} in this file of NAME=value lines"
        )
    app = commands.add_parser("space", help="the app -> a Space")
    app.set_defaults(command=publish_space)
    app.add_argument("--repo", required=True, help="where to publish: owner/name; made if it does not exist")
    app.add_argument("--weights", help="owner/name@revision[#sha256]; without, the embedded weights serve")
    for command in (model, finder, app):
        command.add_argument("--dry-run", action="store_true", help="show all, ask the Hub nothing")
    return parser.parse_args(arguments)
