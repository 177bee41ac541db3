"""MP4 writer for annotated frames and sound, playable in every browser: H.264 in 4:2:0 with AAC, MP3 or Opus."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.error import FFmpegError
from numpy.typing import NDArray

from facemotion.errors import CorruptVideo, StorageError

_CLOCK = Fraction(1, 90_000)  # seconds; frames keep their own times at any rate
_H264 = {"preset": "veryfast", "crf": "23"}  # twice the speed of the default at similar quality
_BT709, _LIMITED = 1, 1  # AVCOL_SPC_BT709 (its primaries and transfer have the same number) and AVCOL_RANGE_MPEG
_COPIED_CODECS = ("aac", "mp3", "mp3float", "opus", "libopus")  # copied as they are: browsers play them from an MP4
_DISK_ERRNOS = (
    *(errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EFBIG),
    *(errno.ENOENT, errno.EDQUOT),
)
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)


class Writer:
    """Writes an MP4 to a path. Close it, or use `with`; after an exception the file is incomplete.

    Args:
        target: where to; an existing file is replaced.
        size: (width, height), both even.
        rate: frames a second on average, a hint for the encoder.
        sound: the stream of the source whose sound to take along, or None.

    Raises:
        StorageError: the file cannot be written.
        CorruptVideo: the sound does not fit into an MP4. `write` and `write_sound` raise both too.
    """

    def __init__(self, target: Path, size: tuple[int, int], rate: Fraction, sound: Any = None) -> None:
        self._target = target
        try:
            # "file:" and no other protocol, whatever the path looks like
            self._container = av.open(
                f"file:{os.fspath(target)}", "w", format="mp4", options={"movflags": "+faststart"}
            )
        except (FFmpegError, OSError) as error:
            raise _write_error(target, error) from error
        self._pictures = _add_pictures(self._container, size, rate)
        self._sound = None if sound is None else _add_sound(self._container, sound)

    @property
    def sound(self) -> str:
        """How the sound is written: "kept" as it is, "encoded" anew, or "none"."""
        return "none" if self._sound is None else self._sound.name

    def write(self, pixels: NDArray[np.uint8], time_s: float, duration_s: float) -> None:
        """Write the next frame, RGB uint8 [H, W, 3] of `size`, and its duration; times only rise."""
        frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        frame.pts, frame.duration, frame.time_base = round(time_s / _CLOCK), round(duration_s / _CLOCK), _CLOCK
        self._mux(self._pictures.encode(frame))

    def write_sound(self, packet: av.Packet[Any], time_s: float) -> None:
        """Write the next packet of the sound, which begins at `time_s`."""
        if self._sound is not None:
            self._mux(self._sound.convert(packet, time_s))

    def _mux(self, packets: Iterator[av.Packet[Any]] | list[av.Packet[Any]]) -> None:
        try:
            for packet in packets:
                self._container.mux(packet)
        except FFmpegError as error:
            raise _write_error(self._target, error) from error

    def close(self) -> None:
        """Flush the encoders and write the index."""
        self._mux(self._pictures.encode(None))
        if self._sound is not None:
            self._mux(self._sound.finish())
        self._close_container()

    def _close_container(self) -> None:
        try:
            self._container.close()
        except FFmpegError as error:
            raise _write_error(self._target, error) from error

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self._close_container()


class _CopiedSound:
    """Sound packets that are copied unchanged."""

    name = "kept"

    def __init__(self, container: Any, source: Any) -> None:
        self._stream = container.add_stream_from_template(source)
        self._stream.metadata.clear()  # removes private metadata
        self._last: int | None = None

    def convert(self, packet: av.Packet[Any], time_s: float) -> list[av.Packet[Any]]:
        """The packet at its new time; a packet not later than the last is skipped."""
        if packet.pts is None or packet.is_corrupt or not packet.size:
            return []
        pts = round(time_s / packet.time_base)
        if self._last is not None and pts <= self._last:
            return []
        self._last = packet.pts = packet.dts = pts
        packet.stream = self._stream
        return [packet]

    def finish(self) -> list[av.Packet[Any]]:
        return []


class _EncodedSound:
    """Sound that is decoded and encoded as AAC, in stereo at most."""

    name = "encoded"

    def __init__(self, container: Any, source: Any) -> None:
        rate = source.codec_context.sample_rate
        rate = rate if rate in _AAC_RATES else 48_000
        layout = "mono" if source.codec_context.channels == 1 else "stereo"
        self._stream = container.add_stream("aac", rate=rate, layout=layout)
        self._resampled = ("fltp", layout, rate)
        self._resampler = av.AudioResampler(*self._resampled)
        self._form: tuple[str, str, int] | None = None

    def convert(self, packet: av.Packet[Any], time_s: float) -> Iterator[av.Packet[Any]]:
        """Encode a packet; one that cannot be decoded is silence."""
        try:
            frames = packet.decode() if packet.pts is not None else []
        except (FFmpegError, ValueError):
            return
        late = (packet.pts or 0) * packet.time_base - Fraction(time_s)
        for frame in frames:
            if frame.pts is not None:
                frame.pts -= round(late / (frame.time_base or packet.time_base))
            yield from self._encode(frame)

    def _encode(self, frame: Any) -> Iterator[av.Packet[Any]]:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._form not in (None, form):  # as between a film in 5.1 and advertisements in stereo
            yield from self._resample(None)
            self._resampler = av.AudioResampler(*self._resampled)
        self._form = form
        yield from self._resample(frame)

    def _resample(self, frame: Any) -> Iterator[av.Packet[Any]]:
        clock = Fraction(1, self._stream.rate)
        for piece in self._resampler.resample(frame):
            if piece.pts is not None and piece.time_base is not None:  # those that need no change keep their clock
                piece.pts, piece.time_base = round(piece.pts * piece.time_base / clock), clock
            yield from self._stream.encode(piece)

    def finish(self) -> Iterator[av.Packet[Any]]:
        yield from self._resample(None)
        yield from self._stream.encode(None)


def _add_pictures(container: Any, size: tuple[int, int], rate: Fraction) -> Any:
    stream = container.add_stream("libx264", rate=rate, options=_H264)
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = _CLOCK
    context.flags |= Flags.frame_duration  # else the last frame gets the average duration
    context.thread_count = 1  # as in reading
    context.colorspace, context.color_range = _BT709, _LIMITED
    context.color_primaries = context.color_trc = _BT709
    return stream


def _add_sound(container: Any, source: Any) -> _CopiedSound | _EncodedSound:
    copied = source.codec_context.codec.name in _COPIED_CODECS
    return _CopiedSound(container, source) if copied else _EncodedSound(container, source)


def _write_error(target: Path, error: Exception) -> StorageError | CorruptVideo:
    if getattr(error, "errno", None) in _DISK_ERRNOS:
        return StorageError(
            f"The video {target.name!r} could not be written. Is the disk full, or its folder read-only?"
        )
    return CorruptVideo(
        "The pictures or the sound of this video do not fit into an MP4. Please convert it to MP4 first."
    )
