"""Uploads to the Hub with a token, in one commit; errors of the library become sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from facemotion.settings import Reference
from training.publish.model_repo import digest

TOKENS = "https://huggingface.co/settings/tokens"
KEPT = ".gitattributes"  # the Hub's own, which says what is a large file
# As huggingface_hub 2.4 documents `create_repo(space_sdk=...)`.
HOSTING = (
    "A new Gradio Space on the free hardware may need a paid plan (PRO for a person, Team or Enterprise for an "
    "organisation); other hardware is billed for the time it runs. Prices: https://huggingface.co/pricing"
)


class PublishError(Exception):
    """Publishing failed, or the download differs from the upload; the message says what to do."""


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
    return huggingface_hub.HfApi(endpoint=endpoint(), token=token)


def endpoint() -> str:
    """The address of the Hub."""
    from huggingface_hub import constants  # noqa: PLC0415

    return str(constants.ENDPOINT)


def is_closed(api: Any, repo: str) -> bool:
    """Whether a model is private or gated."""
    with publish_errors(repo):
        found = api.model_info(repo)
    return bool(found.private or found.gated)


def upload_model(api: Any, repo: str, files: Mapping[str, bytes], weights_file: str, **how: Any) -> Reference:
    """Upload files in one commit or pull request, and return the pinned reference.

    Args:
        api: of `connect`.
        repo: owner/name; made if it does not exist.
        files: by their path there.
        weights_file: the path of the weights.
        how: of the commit: `commit_message`, and `create_pr`.
    """
    with publish_errors(repo):
        api.create_repo(repo, exist_ok=True)
        commit = api.create_commit(repo, additions(files), **how)
    if commit.pr_url:
        print(f"\nPull request: {commit.pr_url}")
    return Reference(repo, commit.oid, digest(files[weights_file]))


def upload_space(api: Any, repo: str, files: Mapping[str, bytes], variables: Mapping[str, str]) -> None:
    """Set the variables, then replace all files in one commit."""
    from huggingface_hub import CommitOperationDelete  # noqa: PLC0415

    with publish_errors(repo):
        api.create_repo(repo, repo_type="space", space_sdk="gradio", exist_ok=True)
        for name, value in variables.items():
            api.add_space_variable(repo, name, value)
        there = api.list_repo_files(repo, repo_type="space")
        stale = [CommitOperationDelete(path) for path in there if path not in files and path != KEPT]
        api.create_commit(repo, [*additions(files), *stale], commit_message="Publish the app", repo_type="space")


def additions(files: Mapping[str, bytes]) -> list[Any]:
    from huggingface_hub import CommitOperationAdd  # noqa: PLC0415

    return [CommitOperationAdd(path, content) for path, content in files.items()]


@contextmanager
def publish_errors(repo: str) -> Iterator[None]:
    """Translate errors of the library into sentences without text of the Hub or tokens."""
    from huggingface_hub import errors  # noqa: PLC0415

    try:
        yield
    except (errors.HTTPError, OSError, ValueError, LookupError, RuntimeError) as error:  # type: ignore[attr-defined]
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
