"""The only decoder of untrusted videos: bounded, local, one frame at a time.

FFmpeg, through PyAV, reads from a file that is already open, in the format that `sniff.sniff` returns. It may open
nothing else: no protocol is allowed, and references to other files and unusual codecs are refused.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Any, BinaryIO

import av
from av.error import FFmpegError
from av.stream import Disposition

from facemotion import settings
from facemotion.errors import (
    CorruptVideo,
    FileTooLarge,
    ForbiddenSource,
    MissingInput,
    NotAVideo,
    TooManyPixels,
    UnsupportedVideo,
    VideoTooLong,
)
from facemotion.images import sources
from facemotion.video import mp4_limits, sniff
from facemotion.video.frames import Frame, Geometry

VIDEO_CODECS = (
    "h264", "hevc", "av1", "libdav1d", "vp8", "vp9", "mpeg4", "mpeg2video", "mpeg1video", "h263", "mjpeg", "prores",
)  # fmt: skip
"""Allowed video decoders of FFmpeg, which has hundreds."""

SOUND_CODECS = (
    "aac", "mp3", "mp3float", "opus", "libopus", "vorbis", "ac3", "eac3", "flac", "alac", "amrnb", "amrwb",
    "libopencore_amrnb", "libopencore_amrwb", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be", "pcm_s32le",
    "pcm_f32le", "pcm_u8", "pcm_mulaw", "pcm_alaw", "adpcm_ms", "adpcm_ima_wav",
)  # fmt: skip
"""Allowed sound decoders; other sound is dropped."""

MAX_RATE = 120  # frames per second on average; faster videos are refused as too long
_MAX_FRAME_S = 10.0  # longest plausible duration of a frame
_MAX_EARLY_SOUND_BYTES = 20_000_000  # sound held back before the first frame; more is dropped
_OPEN_OPTIONS = {
    "protocol_whitelist": "",
    "format_whitelist": "mov,matroska,avi",
    "codec_whitelist": ",".join((*VIDEO_CODECS, *SOUND_CODECS)),
}
# One thread: the other cores are for photos and cameras.
_DECODER_OPTIONS = {"max_pixels": str(settings.MAX_VIDEO_PIXELS), "threads": "1"}
_ENCRYPTED_TAGS = ("encv", "drmi")
_DAMAGED = "This video is damaged or breaks off at the start. Please choose it again, or convert it to MP4."
_NO_CODEC = "This video's pictures are stored in a way that is not read here ({}). Please convert it to MP4 with H.264."
_ENCRYPTED = "This video is encrypted (copy protection), so its pictures cannot be read. Please choose another."

logging.getLogger("libav").setLevel(logging.CRITICAL)  # its messages on damaged files quote their content


class Reader:
    """An open video: its facts, then its frames and sound in the order of the file. Close it, or use `with`.

    Raises:
        InputError: it is no video that can be read here.
    """

    def __init__(self, source: str | os.PathLike[Any]) -> None:
        if source is None or source == "":
            raise MissingInput("There is no video yet. Please add one.")
        self._file = sources.open_file(source)
        try:
            self._container = _open(self._file)
            self._video = _picture_stream(self._container)
        except BaseException:
            self._file.close()
            raise
        self.sound = _sound_stream(self._container)
        """The first sound that can be decoded, as PyAV's stream, or None."""
        self._start_s = (self._container.start_time or 0) / av.time_base
        self._frame_count = 0
        self.geometry: Geometry | None = None
        """Known from the first frame on."""

    @property
    def duration_s(self) -> float:
        """Duration in seconds from the header; 0 where it is missing."""
        return max(0.0, (self._container.duration or 0) / av.time_base)

    @property
    def rate(self) -> Fraction:
        """Average frames per second from the header; 25 where it is missing or implausible."""
        rate = self._video.average_rate or self._video.guessed_rate
        return Fraction(rate) if rate and Fraction(1, 10) <= rate <= MAX_RATE else Fraction(25)

    def sound_time_s(self, pts: int) -> float:
        """Time of a sound packet or frame, in seconds from the beginning of the video."""
        assert self.sound is not None and self.sound.time_base is not None
        return float(pts * self.sound.time_base) - self._start_s

    def __iter__(self) -> Iterator[Frame | av.Packet[Any]]:
        """Iterate over frames in order of time, and the packets of the sound between them.

        A packet that cannot be decoded is passed over, as players do.

        Raises:
            CorruptVideo: there is not one frame.
            UnsupportedVideo: it is encrypted.
            VideoTooLong: it goes on beyond the limit, whatever its header says.
        """
        early: list[av.Packet[Any]] | None = []  # sound before the first frame, which must come first
        early_bytes, last_s = 0, -1.0
        for packet in _packets(self._container, [stream for stream in (self._video, self.sound) if stream is not None]):
            if packet.stream is not self._video:
                early_bytes += packet.size
                if early is None:
                    yield packet
                elif early_bytes < _MAX_EARLY_SOUND_BYTES:
                    early.append(packet)
                continue
            for frame in self._decoded(packet):
                if frame.time_s <= last_s:  # repeated or earlier times are not shown by players either
                    continue
                last_s = frame.time_s
                yield frame
                yield from early or ()
                early = None
        if self.geometry is None:
            raise CorruptVideo(_DAMAGED)

    def _decoded(self, packet: av.Packet[Any]) -> Iterator[Frame]:
        if packet.has_sidedata("encryption_info"):
            raise UnsupportedVideo(_ENCRYPTED)
        try:
            frames = packet.decode()
        except (FFmpegError, ValueError):
            return
        for frame in frames:
            if frame.pts is None or frame.time is None:
                continue
            time_s = frame.time - self._start_s
            self._frame_count += 1
            if time_s > settings.MAX_VIDEO_SECONDS + 1 or self._frame_count > settings.MAX_VIDEO_SECONDS * MAX_RATE:
                raise _too_long(None)
            if self.geometry is None:
                self.geometry = Geometry.of(frame, self._video.sample_aspect_ratio)
            try:
                pixels = self.geometry.apply(frame)
            except (FFmpegError, ValueError):  # a damaged header changed the pixel format
                continue
            yield Frame(pixels, max(0.0, time_s), self._frame_duration_s(frame))

    def _frame_duration_s(self, frame: av.VideoFrame) -> float:
        """Duration of a frame in seconds from the file; the average where it is implausible."""
        seconds = float((frame.duration or 0) * (frame.time_base or 0))
        return seconds if 0 < seconds <= _MAX_FRAME_S else float(1 / self.rate)

    def close(self) -> None:
        """Close the file."""
        self._container.close()
        self._file.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _open(file: BinaryIO) -> Any:
    size = os.fstat(file.fileno()).st_size
    if size > settings.MAX_VIDEO_BYTES:
        limit = settings.MAX_VIDEO_BYTES / 1_000_000
        raise FileTooLarge(
            f"This video is larger than {limit:g} MB. Please cut it shorter, or save it smaller. "
            + settings.raised_by("MAX_VIDEO_BYTES")
        )
    name = sniff.sniff(file.read(sniff.HEAD_BYTES))
    file.seek(0)
    bounds: dict[str, Any] = {"format": name, "container_options": _OPEN_OPTIONS, "options": _DECODER_OPTIONS}
    if name == "mov":
        mp4_limits.check(file)
    try:
        return av.open(file, "r", metadata_errors="replace", io_open=_refuse, **bounds)
    except (FFmpegError, ValueError) as error:
        raise CorruptVideo(_DAMAGED) from error


def _refuse(url: str, flags: int, options: dict[str, str]) -> Any:
    raise ForbiddenSource("This video refers to other files or addresses, which are not opened. Convert it to MP4.")


def _picture_stream(container: Any) -> Any:
    """The first video stream, checked against the limits and ready to decode."""
    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not streams:
        kind = "sound, without pictures" if container.streams.audio else "no video: there are no pictures in it"
        raise NotAVideo(f"This file is {kind}. {sniff.ACCEPTED}; please choose one of these.")
    stream = streams[0]
    _check(container, stream)
    return stream


def _check(container: Any, stream: Any) -> None:
    context = stream.codec_context
    if context is None:
        raise UnsupportedVideo(_NO_CODEC.format("an unknown codec"))
    if stream.codec_tag in _ENCRYPTED_TAGS:
        raise UnsupportedVideo(_ENCRYPTED)
    if context.codec.name not in VIDEO_CODECS:
        raise UnsupportedVideo(_NO_CODEC.format(context.codec.name))
    if context.width * context.height > settings.MAX_VIDEO_PIXELS:
        raise TooManyPixels(
            f"This video has {context.width} x {context.height} pixels; 4096 x 2304 are read at most. Please save it "
            "smaller."
        )
    seconds = (container.duration or 0) / av.time_base
    if seconds > settings.MAX_VIDEO_SECONDS + 1:
        raise _too_long(seconds)
    context.options = _DECODER_OPTIONS


def _too_long(seconds: float | None) -> VideoTooLong:
    length = "longer" if seconds is None else f"{seconds:.0f} seconds long, longer"
    return VideoTooLong(
        f"This video is {length} than the {settings.MAX_VIDEO_SECONDS} seconds that are read here, or has more than "
        f"{MAX_RATE} frames in each. Please cut out the part that matters. {settings.raised_by('MAX_VIDEO_SECONDS')}"
    )


def _sound_stream(container: Any) -> Any:
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.codec.name in SOUND_CODECS:
            return stream
    return None


def _packets(container: Any, streams: list[Any]) -> Iterator[av.Packet[Any]]:
    """All packets, up to where the file breaks off."""
    packets = container.demux(streams)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            return
        if packet is None:
            return
        yield packet
