"""Limits and model references; environment variables FACEMOTION_<NAME> override them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from facemotion.errors import BadOption, UnknownModel

DETAILS: tuple[str, ...] = ("fast", "auto", "thorough")
"""Levels of detection: one small pass; the default; overlapping tiles at full size."""


def _number(name: str, default: int) -> int:
    text = os.environ.get(f"FACEMOTION_{name}", "")
    try:
        value = int(text) if text else default
    except ValueError:
        raise BadOption(f"FACEMOTION_{name} must be a whole number, but is {text!r}.") from None
    if value < 1:
        raise BadOption(f"FACEMOTION_{name} must be 1 or more, but is {value}.")
    return value


def raised_by(name: str) -> str:
    """The last sentence of an error about a limit that an environment variable raises."""
    return f"Whoever runs this program can raise the limit: FACEMOTION_{name}."


# Limits, each with an error message of its own; tests/security/server/test_server_limits.py exceeds each.
MAX_FILE_BYTES = _number("MAX_FILE_BYTES", 20_000_000)  # a 24-megapixel phone photo has about 12 MB
MAX_PIXELS = _number("MAX_PIXELS", 50_000_000)  # in the file's header, checked before decoding
MAX_SIDE = _number("MAX_SIDE", 4096)  # pixels; longer images are reduced, a 12-megapixel photo (4000 x 3000) is not
MIN_SIDE = 10  # the smallest face that a detector here can find is about this size
MAX_ASPECT = 50  # long side over short side
MAX_FACES = _number("MAX_FACES", 300)  # the largest are kept
MAX_PICTURES = _number("MAX_PICTURES", 50)  # per gallery, and per /analyze_batch
MAX_VIDEO_BYTES = _number("MAX_VIDEO_BYTES", 200_000_000)  # a minute and a half of a phone's 1080p
MAX_VIDEO_SECONDS = _number("MAX_VIDEO_SECONDS", 180)  # 720p takes 1.4 s of a core per second of video
MAX_VIDEO_PIXELS = 4096 * 2304  # per frame; a decoder holds up to 17 frames
VIDEO_WORK_SECONDS = _number("VIDEO_WORK_SECONDS", 900)  # of processing per video; 3 minutes of 4K take 5 to 10
MAX_QUEUE = _number("MAX_QUEUE", 64)  # waiting requests; any more are refused
MAX_VIEWERS = _number("MAX_VIEWERS", 8)  # concurrent cameras; any more wait
MAX_SESSIONS = _number("MAX_SESSIONS", 200)  # sessions whose last result is kept, 5 MB each; the oldest is dropped
REQUEST_SECONDS = _number("REQUEST_SECONDS", 120)  # of processing per request or photo of a gallery, without queueing
BODY_SECONDS = _number("BODY_SECONDS", 60)  # upload time of a request, plus a second per 20 kB received
STREAM_SECONDS = _number("STREAM_SECONDS", 300)  # per camera; then waiting cameras come first, and the page reconnects
STREAM_IDLE_S = _number("STREAM_IDLE_S", 30)  # without a frame, after which a camera frees its place
MAX_BODY_BYTES = MAX_FILE_BYTES * 4 // 3 + 1_000_000  # of a request without upload: a photo in base64
MAX_MCP_BYTES = min(MAX_BODY_BYTES, 4_194_304)  # of an MCP message; the limit of the MCP library
MAX_UPLOAD_BYTES = max(MAX_FILE_BYTES * MAX_PICTURES, MAX_VIDEO_BYTES) + 1_000_000  # per upload: a gallery or a video
MAX_UPLOADS_BYTES = _number("MAX_UPLOADS_BYTES", 4_000_000_000)  # of all uploads together
FILES_LIVE_S = _number("FILES_LIVE_S", 3000)  # lifetime of uploads and results
CLEAN_EVERY_S = _number("CLEAN_EVERY_S", 300)  # interval of the clean-up: files are deleted within an hour
MAX_THREADS = _number("MAX_THREADS", 64)  # computing threads of one process, at most one per processor
HUB_TIMEOUT_S = _number("HUB_TIMEOUT_S", 20)  # until the first byte of a download, retries included

DETECTOR = "yolo"  # embedded; FACEMOTION_DETECTOR overrides it
LIVE_DETECTOR = "yunet"  # for camera frames, whose faces are large; much faster
CLASSIFIER = "emotionnet"  # embedded; FACEMOTION_WEIGHTS overrides it
CLASSIFY_BATCH = 32  # faces per forward pass; bounds the memory of a large group photo

_REFERENCE = re.compile(
    r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?(#(?P<sha256>[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """A model on the Hub: `repo@revision#sha256`, the last two optional.

    `sha256` is the checksum of the weights file.
    """

    repo: str
    revision: str | None = None
    sha256: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse `you/facemotion@<revision>#<sha256>`.

        Raises:
            UnknownModel: the text is not of that form.
        """
        match = _REFERENCE.fullmatch(text.strip())
        if match is None:
            raise UnknownModel(
                f"{text!r} is no model reference. Write owner/name, owner/name@revision or owner/name@revision#sha256."
            )
        return cls(match["repo"], match["revision"], match["sha256"])

    @property
    def pinned(self) -> bool:
        """Whether the revision is a full commit hash."""
        return self.revision is not None and re.fullmatch("[0-9a-f]{40}", self.revision) is not None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.repo}{revision}" + (f"#{self.sha256}" if self.sha256 else "")


def classifier_name() -> str:
    """Name of the "default" classifier: FACEMOTION_WEIGHTS, else `CLASSIFIER`."""
    return os.environ.get("FACEMOTION_WEIGHTS", "").strip() or CLASSIFIER


def detector_name() -> str:
    """Name of the "default" detector: FACEMOTION_DETECTOR, else `DETECTOR`."""
    return os.environ.get("FACEMOTION_DETECTOR", "").strip() or DETECTOR


def live_detector_name() -> str:
    """Name of the "live" detector: FACEMOTION_LIVE_DETECTOR, else FACEMOTION_DETECTOR, else `LIVE_DETECTOR`."""
    named = os.environ.get("FACEMOTION_LIVE_DETECTOR", ""), os.environ.get("FACEMOTION_DETECTOR", "")
    return next(filter(None, map(str.strip, named)), LIVE_DETECTOR)


def server_port() -> int | None:
    """The port in GRADIO_SERVER_PORT; None where it is not set.

    Raises:
        BadOption: it is no port.
    """
    text = os.environ.get("GRADIO_SERVER_PORT")
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,5}", text.strip()) or not 1 <= int(text) <= 65_535:
        raise BadOption(f"GRADIO_SERVER_PORT must be a port from 1 to 65535, but is {text!r}.")
    return int(text)
