"""Publishes to the Hugging Face Hub: a model, a face detector, or the app as a Space that serves them.

    python -m training.publish model --folder facemotion/assets/simplecnn --repo you/facemotion --dry-run
    python -m training.publish model --run runs/study --data fer2013 --repo you/facemotion --write-env .env
    python -m training.publish detector --folder facemotion/assets/yolo --results detectors.json --repo you/faces
    python -m training.publish space --repo you/facemotion-demo --weights you/facemotion@<revision>#<sha256>

The first shows every file and the model card, and asks the Hub nothing. The second publishes in one commit, downloads
what it published, compares, and prints the pinned reference that the last, and FACEMOTION_WEIGHTS, take; the third does
the same for FACEMOTION_DETECTOR. The token is
that of HF_TOKEN or of `hf auth login`; it needs the right to write.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from facemotion import EmotionClassifier, FaceDetector, images, weights
from facemotion.classifier import WEIGHTS_FILE
from facemotion.detectors.onnx import WEIGHTS_FILE as DETECTOR_FILE
from facemotion.errors import FacemotionError
from facemotion.settings import Reference
from training import detector_card, model_files, space
from training.model_files import CARD, digest
from training.onnx_export import ExportError, sample_crops
from training.sources import DataError

VARIABLE = "FACEMOTION_WEIGHTS"
DETECTOR_VARIABLE = "FACEMOTION_DETECTOR"
PHOTO = Path(space.ROOT) / "facemotion" / "assets" / "examples" / "astronaut.png"
ANY_BOX = 0.05  # of a score: also boxes that are no faces, and would tell two networks apart
TOLERANCE = 1e-6  # of a probability: the same bytes, computed twice
TOKENS = "https://huggingface.co/settings/tokens"
KEPT = ".gitattributes"  # the Hub's own, which says what is a large file
# As huggingface_hub 2.4 documents `create_repo(space_sdk=...)`.
HOSTING = (
    "A new Gradio Space on the free hardware may need a paid plan (PRO for a person, Team or Enterprise for an "
    "organisation); other hardware is billed for the time it runs. Prices: https://huggingface.co/pricing"
)
# Secrets are what a Space's settings hand to the running app; nothing says that a build sees them.
SECRET = (
    "If {weights} is private or gated, the Space needs a secret named HF_TOKEN, a token that may read it: set it at "
    "{endpoint}/spaces/{repo}/settings. Without it the embedded weights serve, and the page says so."
)
CLOSED = "{weights} is private or gated: it is fetched when the Space starts, not when it is built."


class PublishError(Exception):
    """It was not published, or is not what was published; the message says why and what to do."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments)
    try:
        options.command(options)
    except (PublishError, FacemotionError, DataError, ExportError) as error:
        raise SystemExit(str(error)) from None


def publish_model(options: argparse.Namespace) -> None:
    """Builds, shows, uploads and verifies a model, and pins it."""
    check_name(options.repo)
    api = None if options.dry_run else connect()
    with TemporaryDirectory() as scratch:
        folder = options.folder or model_files.from_run(options.run, options.data, Path(scratch))
        figures = options.figures or model_files.figures_of(options.run)
        classifier, files = model_files.collect(folder, options.repo, figures, Path(scratch))
    show(files, options.repo)
    if api is None:
        print(f"\n{files[CARD].decode()}\nDry run: nothing was sent.")
        return
    reference = upload_model(api, options, files)
    print(f"\n{reference}\n")
    verify(reference, files, classifier)
    if options.write_env:
        write_env(options.write_env, reference)
    print(f"Downloaded and compared: the same files, the same probabilities. Serve it: {VARIABLE}={reference}")


def publish_detector(options: argparse.Namespace) -> None:
    """Shows, uploads and verifies a detector, and pins it."""
    check_name(options.repo)
    api = None if options.dry_run else connect()
    detector, files = detector_card.collect(options.folder, options.repo, options.results, options.figures)
    show(files, options.repo)
    if api is None:
        print(f"\n{files[CARD].decode()}\nDry run: nothing was sent.")
        return
    reference = upload_model(api, options, files, DETECTOR_FILE)
    print(f"\n{reference}\n")
    verify_detector(reference, files, detector)
    if options.write_env:
        write_env(options.write_env, reference, DETECTOR_VARIABLE)
    print(f"Downloaded and compared: the same files, the same boxes. Serve it: {DETECTOR_VARIABLE}={reference}")


def publish_space(options: argparse.Namespace) -> None:
    """Uploads the app, and lets it serve the weights that were named."""
    check_name(options.repo)
    reference = pinned(options.weights) if options.weights else None
    api = None if options.dry_run else connect()
    if api and reference:
        reference = complete(reference)
    closed = bool(api and reference and is_closed(api, reference))
    files = space.files(weights=reference, preload=not closed)
    show(files, f"spaces/{options.repo}")
    serves = f"={reference}" if reference else " is left as it is; unset, the embedded weights serve."
    print(f"\n{VARIABLE}{serves}\n{HOSTING}")
    if reference:
        print(about_access(reference, options.repo, closed))
    if api is None:
        print("Dry run: nothing was sent.")
        return
    upload_space(api, options.repo, files, reference)
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


def is_closed(api: Any, reference: Reference) -> bool:
    """Whether the weights are private or gated."""
    with explained(reference.repo):
        found = api.model_info(reference.repo)
    return bool(found.private or found.gated)


def about_access(reference: Reference, repo: str, closed: bool) -> str:
    """What a Space needs to fetch the weights."""
    from huggingface_hub import constants  # noqa: PLC0415

    secret = SECRET.format(weights=reference.repo, repo=repo, endpoint=constants.ENDPOINT)
    return f"{CLOSED.format(weights=reference.repo)}\n{secret}" if closed else secret


def show(files: Mapping[str, bytes], repo: str) -> None:
    print(f"{repo}: {len(files)} files, {sum(map(len, files.values())) / 1e6:.1f} MB, in one commit")
    for path, content in files.items():
        print(f"{digest(content)}  {len(content):>10,}  {path}")


def connect() -> Any:
    """The Hub's API, with the token of this computer.

    Raises:
        PublishError: there is none.
    """
    import huggingface_hub  # noqa: PLC0415

    token = huggingface_hub.get_token()
    if token is None:
        raise PublishError(
            f"There is no token to publish with. Make one that may write at {TOKENS}, and set HF_TOKEN to it, "
            "or run `hf auth login`. --dry-run needs none."
        )
    return huggingface_hub.HfApi(endpoint=huggingface_hub.constants.ENDPOINT, token=token)


def upload_model(
    api: Any, options: argparse.Namespace, files: Mapping[str, bytes], weights_file: str = WEIGHTS_FILE
) -> Reference:
    """One commit, or one pull request; returns what pins it."""
    with explained(options.repo):
        api.create_repo(options.repo, exist_ok=True)
        commit = api.create_commit(options.repo, additions(files), commit_message=options.message, create_pr=options.pr)
    if commit.pr_url:
        print(f"\nPull request: {commit.pr_url}")
    return Reference(options.repo, commit.oid, digest(files[weights_file]))


def upload_space(api: Any, repo: str, files: Mapping[str, bytes], reference: Reference | None) -> None:
    """The variable first, so that already the first start finds it; then one commit that leaves nothing else there."""
    from huggingface_hub import CommitOperationDelete  # noqa: PLC0415

    with explained(repo):
        api.create_repo(repo, repo_type="space", space_sdk="gradio", exist_ok=True)
        if reference:
            api.add_space_variable(repo, VARIABLE, str(reference))
        there = api.list_repo_files(repo, repo_type="space")
        stale = [CommitOperationDelete(path) for path in there if path not in files and path != KEPT]
        api.create_commit(repo, [*additions(files), *stale], commit_message="Publish the app", repo_type="space")


def additions(files: Mapping[str, bytes]) -> list[Any]:
    from huggingface_hub import CommitOperationAdd  # noqa: PLC0415

    return [CommitOperationAdd(path, content) for path, content in files.items()]


def verify(reference: Reference, files: Mapping[str, bytes], classifier: EmotionClassifier) -> None:
    """Downloads every file at its pinned revision, as the app would, and compares bytes and probabilities.

    Raises:
        PublishError: a file cannot be had, or is not the one that was published, or the probabilities differ.
    """
    pictures = sample_crops()
    try:
        for path, content in files.items():
            weights.resolve(replace(reference, sha256=digest(content)), path)
        served = EmotionClassifier.from_pretrained(str(reference)).classify(pictures)
    except FacemotionError as error:
        raise PublishError(f"{reference} is published, but could not be compared. {error}") from error
    difference = float(np.abs(served - classifier.classify(pictures)).max())
    if difference > TOLERANCE:
        raise PublishError(
            f"{reference} is published, but its probabilities differ by {difference:.1e}: do not use it."
        )


def verify_detector(reference: Reference, files: Mapping[str, bytes], detector: FaceDetector) -> None:
    """Downloads every file at its pinned revision, as the app would, and compares bytes and boxes.

    Raises:
        PublishError: a file cannot be had, or is not the one that was published, or the boxes differ.
    """
    picture = images.load(PHOTO)
    try:
        for path, content in files.items():
            weights.resolve(replace(reference, sha256=digest(content)), path)
        served = FaceDetector.from_pretrained(str(reference)).detect(picture, threshold=ANY_BOX)
    except FacemotionError as error:
        raise PublishError(f"{reference} is published, but could not be compared. {error}") from error
    expected = detector.detect(picture, threshold=ANY_BOX)
    if not all(a.shape == b.shape and np.allclose(a, b, atol=1e-3) for a, b in zip(served, expected, strict=True)):
        raise PublishError(f"{reference} is published, but its boxes differ: do not use it.")


def write_env(file: Path, reference: Reference, variable: str = VARIABLE) -> None:
    """Sets a variable in a file of NAME=value lines; its other lines stay."""
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    kept = [line for line in lines if line.removeprefix("export ").partition("=")[0].strip() != variable]
    file.write_text("\n".join([*kept, f"{variable}={reference}"]) + "\n", "utf-8")


@contextmanager
def explained(repo: str) -> Iterator[None]:
    """Turns what the library raises into a sentence; nothing that the Hub wrote, and no token, is passed on."""
    from huggingface_hub import errors  # noqa: PLC0415

    try:
        yield
    except (errors.HTTPError, OSError, ValueError, LookupError, RuntimeError) as error:
        # A failed upload of a large file comes as a RuntimeError around what went wrong.
        cause = error.__cause__ if isinstance(error, RuntimeError) and error.__cause__ else error
        raise PublishError(explain(cause, repo)) from error


def explain(error: BaseException, repo: str) -> str:
    from huggingface_hub import errors  # noqa: PLC0415

    if isinstance(error, errors.HFValidationError):
        return f"{repo!r} is no possible name of a repository. Write owner/name."
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, and publishing needs the Hub. Unset it."
    if isinstance(error, errors.HfHubHTTPError):
        return explain_status(error.response.status_code, repo)
    return f"The Hub cannot be reached, or broke off ({type(error).__name__}). {repo} is as it was; try again later."


def explain_status(status: int, repo: str) -> str:
    if status == 401:
        return f"The Hub does not accept the token. Make a new one at {TOKENS}, and set HF_TOKEN to it."
    if status == 402:
        return f"The Hub wants a paid plan before it makes {repo}. {HOSTING}"
    if status in (403, 404):
        return (
            f"The token may not write to {repo}. Name a repository of your own or of your organisation, and give the "
            f"token the right to write at {TOKENS}. For a model of somebody else's there is --pr."
        )
    if status == 429:
        return f"The Hub asks to wait (status 429). {repo} is as it was; try again in some minutes."
    return f"The Hub answered with status {status}. {repo} is as it was; try again later."


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.publish", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="model | detector | space")
    model = commands.add_parser("model", help="weights, configuration, ONNX, figures and card -> one commit")
    model.set_defaults(command=publish_model)
    source = model.add_mutually_exclusive_group(required=True)
    source.add_argument("--run", type=Path, help="a run directory of training.train; needs --data")
    source.add_argument("--folder", type=Path, help="a model folder, as training.export writes it")
    model.add_argument("--data", type=Path, help="the pictures that the run was trained on")
    finder = commands.add_parser("detector", help="an exported detector, with its card -> one commit")
    finder.set_defaults(command=publish_detector)
    finder.add_argument("--folder", type=Path, required=True, help="as training.detector export writes it")
    finder.add_argument("--results", type=Path, help="detectors.json of training.evaluate_detector, for the card")
    for kind, variable in ((model, VARIABLE), (finder, DETECTOR_VARIABLE)):
        kind.add_argument("--repo", required=True, help="where to publish: owner/name; made if it does not exist")
        kind.add_argument("--figures", type=Path, help="a folder of pictures for the card (RUN/figures)")
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


if __name__ == "__main__":
    main()
