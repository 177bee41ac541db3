"""Videos that are refused: each with its sentence, nothing left behind, and no other file or address ever opened."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from facemotion import settings
from facemotion.errors import (
    BadShape,
    CorruptVideo,
    EmptyFile,
    FileTooLarge,
    ForbiddenSource,
    InputError,
    MissingInput,
    NotAnImage,
    NotAVideo,
    TookTooLong,
    TooManyPixels,
    UnsupportedVideo,
    VideoTooLong,
)
from facemotion.video import annotate_video, reader, sniff
from tests.support.media.synthetic_videos import Recipe, write, write_frames
from tests.unit.video.test_video import PLAIN, Finder, left_over


def damaged(path: Path) -> Path:
    data = bytearray(write(path, PLAIN).read_bytes())
    data[data.index(b"moov") : data.index(b"moov") + 200] = bytes(200)
    path.write_bytes(data)
    return path


def without_index(path: Path) -> Path:
    data = write(path, PLAIN).read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    return path


def sound_alone(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44_100, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 44_100), np.float32), "fltp", "mono")
        silence.sample_rate = 44_100
        for packet in itertools.chain(stream.encode(silence), stream.encode(None)):
            container.mux(packet)
    return path


def encrypted(path: Path) -> Path:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 32, "encryption_kid": "1" * 32}
    return write(path, PLAIN, Recipe(sound=None, options=key))


def no_frames(path: Path) -> Path:
    """Matroska whose clusters are cut off: a header that promises pictures, and none."""
    data = write(path.with_suffix(".mkv"), PLAIN, Recipe(sound=None)).read_bytes()
    path.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75")])
    path.with_suffix(".mkv").unlink()
    return path


def bytes_of(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def example(path: Path) -> Path:
    return bytes_of((Path(__file__).parents[2] / "facemotion/assets/examples/fr_obama.jpg").read_bytes())(path)


def blank(size: tuple[int, int], codec: str = "libx264") -> Callable[[Path], Path]:
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    return lambda path: write_frames(path, [(picture, 0.0)], Recipe(codec=codec, sound=None))


def long_by_its_header(path: Path) -> Path:
    seconds = settings.MAX_VIDEO_SECONDS + 5.0
    return write(path, PLAIN, Recipe(times=[0.0, 0.04, seconds], sound=None))


REFUSED: dict[str, tuple[Callable[[Path], Path], type[InputError], str]] = {
    "no file": (lambda path: path, MissingInput, "no such file"),
    "a folder": (lambda path: path.parent, NotAnImage, "folder"),
    "a device": (lambda path: Path("/dev/zero"), ForbiddenSource, "no ordinary file"),
    "an address": (lambda path: Path("http://127.0.0.1/a.mp4"), MissingInput, "no such file"),
    "zero bytes": (bytes_of(b""), EmptyFile, "empty"),
    "text": (bytes_of(b"hello\n" * 100), NotAVideo, "text"),
    "random bytes": (bytes_of(bytes(range(256)) * 20), NotAVideo, "no video"),
    "a picture": (example, NotAVideo, "JPEG picture; choose the Image tab"),
    "a TIFF": (bytes_of(b"II*\x00" + bytes(500)), NotAVideo, "a picture"),
    "an AVIF": (bytes_of(b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + bytes(50)), NotAVideo, "AVIF picture"),
    "Flash": (bytes_of(b"FLV\x01" + bytes(500)), UnsupportedVideo, "Flash"),
    "a transport stream": (bytes_of((b"\x47" + bytes(187)) * 9), UnsupportedVideo, "transport stream"),
    "sound alone": (sound_alone, NotAVideo, "sound, without pictures"),
    "no index": (without_index, CorruptVideo, "damaged"),
    "a damaged index": (damaged, CorruptVideo, "damaged"),
    "no frames": (no_frames, CorruptVideo, "damaged"),
    "encrypted": (encrypted, UnsupportedVideo, "encrypted"),
    "another codec": (blank((64, 64), "ffv1"), UnsupportedVideo, "ffv1"),
    "too many pixels": (blank((4096, 2400)), TooManyPixels, "4096 x 2400"),
    "too thin": (blank((1024, 16)), BadShape, "too thin"),
    "too long": (long_by_its_header, VideoTooLong, "seconds long.* FACEMOTION_MAX_VIDEO_SECONDS"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_with_a_sentence(tmp_path: Path, name: str) -> None:
    make, kind, words = REFUSED[name]
    suffix = ".mkv" if name == "another codec" else ".mp4"
    source = make(tmp_path / f"a{suffix}")
    with pytest.raises(kind, match=words) as caught:
        annotate_video(Finder(), source, tmp_path / "out.mp4", tmp_path / "out.csv")
    assert caught.value.message.endswith(".") and str(tmp_path) not in caught.value.message
    assert set(left_over(tmp_path)) <= {f"a{suffix}"}


def test_refuses_a_file_above_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "MAX_VIDEO_BYTES", 1_000_000)
    path = tmp_path / "a.mp4"
    with path.open("wb") as file:
        file.truncate(1_000_001)
    with pytest.raises(FileTooLarge, match=r"1 MB.* FACEMOTION_MAX_VIDEO_BYTES"):
        annotate_video(Finder(), path, tmp_path / "out.mp4")


def test_the_length_is_measured_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "a.mp4", PLAIN, Recipe(seconds=4, fps=10, sound=None))
    monkeypatch.setattr(settings, "MAX_VIDEO_SECONDS", 2)
    monkeypatch.setattr(reader.Reader, "duration_s", 1.0)
    monkeypatch.setattr(reader, "_check", lambda container, stream: None)
    with pytest.raises(VideoTooLong, match=r"2 seconds.* FACEMOTION_MAX_VIDEO_SECONDS"):
        annotate_video(Finder(), source, tmp_path / "out.mp4")


def test_work_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "VIDEO_WORK_SECONDS", -1)
    with pytest.raises(TookTooLong, match="FACEMOTION_VIDEO_WORK_SECONDS"):
        annotate_video(Finder(), write(tmp_path / "a.mp4", PLAIN), tmp_path / "out.mp4")
    assert left_over(tmp_path) == ["a.mp4"]


def announcing(table: bytes, content: bytes) -> Callable[[Path], None]:
    """Makes a small MP4 whose one table of that name has this content."""

    def make(path: Path) -> None:
        data = write(path, PLAIN, Recipe(seconds=0.2, sound=None)).read_bytes()
        inner = (b"edts", b"elst") if table == b"elst" else (b"mdia", b"minf", b"stbl", table)
        path.write_bytes(grown(data, (b"moov", b"trak", *inner), bytes(4) + content))

    return make


def numbers(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


MANY = 50_000_000  # frames, for which FFmpeg reserves 3.7 GB
BOMBS: dict[str, Callable[[Path], None]] = {
    "frames of one size": announcing(b"stsz", numbers(100, MANY)),
    "frames of one byte": announcing(b"stsz", numbers(1, MANY)),
    "one run of times": announcing(b"stts", numbers(1, MANY, 3000)),
    "one run of times of 1": announcing(b"stts", numbers(1, MANY, 1)),
    "many runs of times": announcing(b"stts", numbers(100, *[MANY // 100, 30] * 100)),
    "edits": announcing(b"elst", numbers(5000, *[100, 0, 1 << 16] * 5000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_index_that_asks_for_gigabytes(tmp_path: Path, name: str) -> None:
    BOMBS[name](tmp_path / "a.mp4")
    with pytest.raises(CorruptVideo, match="memory"):
        annotate_video(Finder(), tmp_path / "a.mp4", tmp_path / "out.mp4")


def test_a_fragment_that_asks_for_gigabytes(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    data = write(tmp_path / "a.mp4", PLAIN, Recipe(seconds=0.4, sound=None, options=options)).read_bytes()
    assert annotate_video(Finder(), tmp_path / "a.mp4", tmp_path / "out.mp4").frames == 10  # fragments as such are read
    at = data.index(b"trun") + 8
    (tmp_path / "a.mp4").write_bytes(data[:at] + numbers(MANY) + data[at + 4 :])
    with pytest.raises(CorruptVideo, match="memory"):
        annotate_video(Finder(), tmp_path / "a.mp4", tmp_path / "out.mp4")


@pytest.mark.parametrize("seed", range(12))
def test_flipped_bytes_end_in_a_result_or_a_sentence(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    suffix = (".mp4", ".mkv", ".avi")[seed % 3]
    recipe = Recipe(seconds=0.5, codec="mpeg4" if suffix == ".avi" else "libx264", sound="aac" if seed % 2 else None)
    path = write(tmp_path / f"a{suffix}", PLAIN, recipe)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    data[random.integers(0, len(data), 30)] = random.integers(0, 256, 30)
    path.write_bytes(data.tobytes())
    try:
        annotate_video(Finder(), path, tmp_path / "out.mp4")
    except InputError as error:
        assert error.message.endswith(".")
    assert set(left_over(tmp_path)) <= {path.name, "out.mp4"}


class Watch:
    """Tells whether a file was opened, by whomever, through Linux's inotify."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._notes = libc.inotify_init1(os.O_NONBLOCK)
        assert self._notes >= 0 and libc.inotify_add_watch(self._notes, os.fsencode(path), 0x20) >= 0  # IN_OPEN

    def opened(self) -> bool:
        try:
            return bool(os.read(self._notes, 4096))
        except BlockingIOError:
            return False
        finally:
            os.close(self._notes)


linux = pytest.mark.skipif(sys.platform != "linux", reason="inotify, which tells who opens a file, is Linux's")

TEMPTERS: dict[str, tuple[str, str]] = {
    "m3u8": ("hls", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:{other}\n#EXT-X-ENDLIST\n"),
    "m3u8 of an address": ("hls", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}/a.ts\n#EXT-X-ENDLIST\n"),
    "ffconcat": ("concat", "ffconcat version 1.0\nfile '{other}'\n"),
    "ffconcat of an address": ("concat", "ffconcat version 1.0\nfile '{url}/a.mp4'\n"),
    "DASH": ("dash", "<?xml version='1.0'?><MPD><Period><BaseURL>{url}</BaseURL></Period></MPD>"),
    "session description": ("sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video 5000 RTP/AVP 96\n"),
    "subtitles": ("vobsub", "# VobSub index file, v7\nid: en, index: 0\n"),
}


@linux
@pytest.mark.parametrize("as_named", [True, False], ids=["as it comes", "were it taken for what it is"])
@pytest.mark.parametrize("name", TEMPTERS)
def test_a_list_of_other_files_is_not_followed(
    tmp_path: Path, name: str, as_named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what it begins with, and, were that passed over, by what FFmpeg is allowed."""
    other = write(tmp_path / "other.mp4", PLAIN, Recipe(seconds=0.2))
    kind, text = TEMPTERS[name]
    if not as_named:
        monkeypatch.setattr(sniff, "sniff", lambda head: kind)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / "a.mp4").write_text(text.format(other=other, url=url))
        watch = Watch(other)
        with pytest.raises(InputError):
            annotate_video(Finder(), tmp_path / "a.mp4", tmp_path / "out.mp4")
        assert not watch.opened()
        with pytest.raises(BlockingIOError):
            server.accept()


def grown(data: bytes, path: tuple[bytes, ...], content: bytes) -> bytes:
    """An MP4 in which the innermost of the named boxes, each inside the one before, has this content."""
    at, kind = 0, path[0]
    while data[at + 4 : at + 8] != kind:
        at += int.from_bytes(data[at : at + 4], "big")
    size = int.from_bytes(data[at : at + 4], "big")
    inside = content if len(path) == 1 else grown(data[at + 8 : at + size], path[1:], content)
    return data[:at] + (len(inside) + 8).to_bytes(4, "big") + kind + inside + data[at + size :]


def alias(target: Path) -> bytes:
    """A `dref` whose one entry is a QuickTime alias of a file, as FFmpeg's mov.c reads it."""
    name, folder = os.fsencode(target.name), os.fsencode(target)
    fixed = bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12) + bytes([len(name)]) + name.ljust(63, b"\0")
    levels = bytes(16) + b"\0\1\0\1" + bytes(16)
    absolute = b"\0\2" + len(folder).to_bytes(2, "big") + folder + bytes(len(folder) % 2) + b"\xff\xff\0\0"
    entry = b"alis" + bytes(4) + fixed + levels + absolute
    return bytes(4) + b"\0\0\0\1" + (len(entry) + 4).to_bytes(4, "big") + entry


@linux
def test_a_track_in_another_file_is_not_followed(tmp_path: Path) -> None:
    other = write(tmp_path / "other.mov", PLAIN, Recipe(sound=None))
    boxes = (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref")
    source = tmp_path / "a.mov"
    source.write_bytes(grown(write(source, PLAIN, Recipe(sound=None)).read_bytes(), boxes, alias(other)))
    watch = Watch(other)
    with pytest.raises(CorruptVideo):
        annotate_video(Finder(), source, tmp_path / "out.mp4")
    assert not watch.opened()
