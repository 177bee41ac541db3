"""The only decoder: every file of the hostile corpus, and that what is read comes out right."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from facemotion import images
from facemotion import settings as limits
from facemotion.errors import (
    BadArray,
    CorruptImage,
    EmptyFile,
    FileTooLarge,
    ForbiddenSource,
    InputError,
    MissingInput,
    NotAnImage,
    TooManyPixels,
)
from tests.support.media import crafted
from tests.support.media.bad_inputs import FILES, GENEROUS_S, KINDS, Case, assert_helpful, assert_picture
from tests.support.media.crafted import encoded, scene

LOAD = import_module("facemotion.images.load")  # as an attribute of the package, `load` is the function
ROOT = Path(__file__).resolve().parents[3]
Pixels = npt.NDArray[np.uint8]


def close(first: Pixels, second: npt.ArrayLike, tolerance: float) -> bool:
    second = np.asarray(second)
    return first.shape == second.shape and np.abs(np.subtract(first, second, dtype=np.int16)).mean() <= tolerance


@pytest.mark.parametrize("case", FILES, ids=str)
def test_the_corpus(case: Case) -> None:
    data = case.make()
    start = time.process_time()
    if case.error is None:
        assert_picture(images.load(data))
    else:
        with pytest.raises(case.error) as caught:
            images.load(data)
        assert type(caught.value) is case.error
        assert_helpful(caught.value)
    assert time.process_time() - start < GENEROUS_S


@pytest.mark.parametrize(
    ("name", "word"),
    [("text.png", "text"), ("page.jpg", "HTML"), ("paper.png", "PDF"), ("film.jpg", "MP4"), ("drawing.svg", "SVG")],
)
def test_a_refusal_says_what_the_file_seems_to_be(name: str, word: str) -> None:
    (case,) = (case for case in FILES if case.name == name)
    with pytest.raises(InputError, match=word):
        images.load(case.make())


SOURCES = [
    ("none", None, MissingInput),
    ("no name", "", MissingInput),
    ("no such file", "nowhere/photo.jpg", MissingInput),
    ("a name with NUL", "photo\0.jpg", MissingInput),
    ("a name of 3000", "a" * 3000, MissingInput),
    ("a file as folder", __file__ + "/photo.jpg", MissingInput),
    ("passwd", "/etc/passwd", NotAnImage),
    ("traversal", "../" * 20 + "etc/passwd", NotAnImage),
    ("folder", os.path.dirname(__file__), NotAnImage),  # noqa: PTH120
    ("device", "/dev/zero", ForbiddenSource),
    ("file://", "file:///etc/passwd", ForbiddenSource),
    ("FILE:/", " FILE:/etc/passwd", ForbiddenSource),
    ("loopback", "http://127.0.0.1:7860/photo.jpg", ForbiddenSource),
    ("private", "https://192.168.0.1/photo.jpg", ForbiddenSource),
    ("metadata", "http://169.254.169.254/latest/meta-data", ForbiddenSource),
    ("redirect", "https://example.org/redirect?to=http://localhost", ForbiddenSource),
    ("s3", "s3://bucket/photo.jpg", ForbiddenSource),
    ("data: without base64", "data:text/plain,hello", NotAnImage),
    ("data: damaged", "data:image/png;base64,iVBORw0KG!!!", CorruptImage),
    ("data: broken off", "data:image/png;base64,iVBORw0KG", CorruptImage),
    ("data: empty", "data:image/png;base64,", EmptyFile),
    ("data: text", "data:image/png;base64," + base64.b64encode(b"hello there").decode(), NotAnImage),
    ("data: too long", "data:image/png;base64," + "A" * (limits.MAX_FILE_BYTES * 4 // 3 + 9000), FileTooLarge),
    ("a list", [[1, 2], [3, 4]], BadArray),
    ("a number", 7, BadArray),
    ("an open file", BytesIO(b""), BadArray),
]


@pytest.mark.parametrize(("source", "error"), [row[1:] for row in SOURCES], ids=[row[0] for row in SOURCES])
def test_sources_that_are_refused(source: images.Source, error: type[InputError]) -> None:
    with pytest.raises(error) as caught:
        images.load(source)
    assert_helpful(caught.value)
    assert "etc/passwd" not in caught.value.message


def test_no_address_is_ever_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr("socket.socket.connect", connect)
    monkeypatch.setattr("socket.getaddrinfo", connect)
    with pytest.raises(ForbiddenSource):
        images.load("http://localhost/photo.jpg")


def test_every_way_in_gives_the_same_picture(tmp_path: Path) -> None:
    data = crafted.png()
    path = tmp_path / "фото 😀"
    path.write_bytes(data)
    expected = np.asarray(scene())
    url = crafted.data_url(data)
    padded = "data:;base64," + base64.b64encode(data + bytes(-(len(data) + 1) % 3)).decode()  # what follows is not read
    assert padded.endswith("=")
    urls = [url, "DATA" + url[4:], padded.rstrip("=")]
    sources = [path, str(path), data, bytearray(data), memoryview(data), *urls, scene(), expected]
    for source in sources:
        picture = images.load_picture(source)
        assert np.array_equal(picture.pixels, expected)
        assert picture.source_size == (96, 64)


def test_a_file_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "sparse.jpg"
    with path.open("wb") as file:
        file.truncate(50 * 2**30)
    with pytest.raises(FileTooLarge, match="20 MB"):
        images.load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes with names")
@pytest.mark.timeout(30)
def test_a_file_that_became_a_pipe_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "photo.jpg")
    monkeypatch.setattr("stat.S_ISREG", lambda _: True)  # it was one when it was looked at
    with pytest.raises(EmptyFile):
        images.load(tmp_path / "photo.jpg")
    writer = os.open(tmp_path / "photo.jpg", os.O_RDWR)  # somebody who may write, but does not
    with pytest.raises(EmptyFile):
        images.load(tmp_path / "photo.jpg")
    os.close(writer)


def test_a_message_names_at_most_a_shortened_base_name(tmp_path: Path) -> None:
    folder = tmp_path / "secret" / ("x" * 200)
    folder.mkdir(parents=True)
    with pytest.raises(NotAnImage) as caught:
        images.load(folder)
    assert "secret" not in caught.value.message and "x" * 50 not in caught.value.message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_eight_orientations_agree(orientation: int, kind: str) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # PIL's Transpose that a camera held so would have applied
    stored = scene() if orientation == 1 else scene().transpose(Image.Transpose(undo[orientation]))
    picture = images.load_picture(crafted.with_exif(orientation, kind, stored))
    assert close(picture.pixels, scene(), 2 if kind in ("JPEG", "AVIF", "HEIF") else 0)
    assert picture.source_size == (scene() if kind == "HEIF" else stored).size


def test_orientation_of_a_pil_image_is_applied_and_the_image_left_alone() -> None:
    image = Image.open(BytesIO(crafted.with_exif(6)))
    assert images.load(image).shape == (96, 64, 3)
    assert image.size == (96, 64) and image.getexif()[crafted.ORIENTATION] == 6


def test_malformed_exif_is_ignored() -> None:
    unmarked = {"jpg": crafted.jpeg(), "png": crafted.png(), "webp": encoded(scene(), "WEBP", lossless=True)}
    unmarked["avif"] = encoded(scene(), "AVIF", quality=100)
    unmarked["heic"] = encoded(scene(), "HEIF", quality=100)
    for name, data in crafted.malformed_exif().items():
        assert np.array_equal(images.load(data), images.load(unmarked[name.rsplit(".")[-1]])), name


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_position_or_the_camera_survives(kind: str) -> None:
    data = crafted.with_gps(kind)
    assert crafted.GPS_SECRET.encode() in data
    picture = images.load_picture(data)
    assert crafted.GPS_SECRET not in repr(vars(type(picture))) + repr(picture)
    assert crafted.GPS_SECRET.encode() not in encoded(Image.fromarray(picture.pixels), "JPEG")


WHITE, RED = (255, 255, 255), (255, 0, 0)
SIZE = (20, 30)
COLOURS: list[tuple[str, Callable[[], bytes], tuple[int, int, int]]] = [
    ("hidden colour", lambda: encoded(Image.new("RGBA", SIZE, (255, 0, 0, 0)), "PNG"), WHITE),
    ("half red", lambda: encoded(Image.new("RGBA", SIZE, (255, 0, 0, 128)), "PNG"), (255, 127, 127)),
    ("grey, hidden", lambda: encoded(Image.new("LA", SIZE, (9, 0)), "PNG"), WHITE),
    ("grey, half", lambda: encoded(Image.new("LA", SIZE, (0, 128)), "PNG"), (127, 127, 127)),
    ("palette, hidden", lambda: encoded(_palette(RED), "PNG", transparency=0), WHITE),
    ("palette, half", lambda: encoded(_palette(RED), "PNG", transparency=b"\x80"), (255, 127, 127)),
    ("palette", lambda: encoded(_palette(RED), "PNG"), RED),
    ("GIF, hidden", lambda: encoded(_palette(RED), "GIF", transparency=0), WHITE),
    ("GIF", lambda: encoded(_palette(RED), "GIF"), RED),
    ("RGB, hidden", lambda: encoded(Image.new("RGB", SIZE, RED), "PNG", transparency=RED), WHITE),
    ("grey by key, hidden", lambda: encoded(Image.new("L", SIZE, 7), "PNG", transparency=7), WHITE),
    ("WebP, hidden", lambda: encoded(Image.new("RGBA", SIZE, (255, 0, 0, 0)), "WEBP", lossless=True), WHITE),
    ("grey", lambda: encoded(Image.new("L", SIZE, 90), "PNG"), (90, 90, 90)),
    ("1 bit", lambda: encoded(Image.new("1", SIZE, 1), "PNG"), WHITE),
    ("16 bits, middle", lambda: encoded(Image.new("I;16", SIZE, 32896), "PNG"), (128, 128, 128)),
    ("16 bits, dark", lambda: encoded(Image.new("I;16", SIZE, 257), "PNG"), (1, 1, 1)),
    ("10 bits, middle", lambda: encoded(_grey(512, 1023), "PNG"), (128, 128, 128)),
    ("12 bits, middle", lambda: encoded(_grey(2048, 4095), "PNG"), (128, 128, 128)),
    ("14 bits, middle", lambda: encoded(_grey(8192, 16383), "PNG"), (128, 128, 128)),
    ("16 bits, almost black", lambda: encoded(_grey(257, 300), "PNG"), (1, 1, 1)),
    ("16 bits, full", lambda: encoded(Image.new("I;16", SIZE, 65535), "PNG"), WHITE),
    ("CMYK", lambda: encoded(Image.new("CMYK", SIZE, (0, 255, 255, 0)), "JPEG", quality=99), RED),
    ("BMP", lambda: encoded(Image.new("RGB", SIZE, RED), "BMP"), RED),
    ("AVIF", lambda: encoded(Image.new("RGB", SIZE, RED), "AVIF", quality=100), RED),
    ("HEIC", lambda: encoded(Image.new("RGB", SIZE, RED), "HEIF", quality=100), RED),
    ("HEIC, hidden", lambda: encoded(Image.new("RGBA", SIZE, (255, 0, 0, 0)), "HEIF", quality=100), WHITE),
]


def _grey(level: int, brightest: int) -> Image.Image:
    """16-bit grey of one level, with a brighter corner where no test looks."""
    image = Image.new("I;16", (SIZE[0], SIZE[1] + 1), level)
    image.putpixel((0, SIZE[1]), brightest)
    return image


def _palette(colour: tuple[int, int, int]) -> Image.Image:
    image = Image.new("P", SIZE, 0)
    image.putpalette([*colour, 0, 0, 255])
    return image


@pytest.mark.parametrize(("make", "colour"), [row[1:] for row in COLOURS], ids=[row[0] for row in COLOURS])
def test_colours(make: Callable[[], bytes], colour: tuple[int, int, int]) -> None:
    pixels = images.load(make())[:30]
    assert pixels.shape == (30, 20, 3)
    assert np.abs(pixels.astype(int) - colour).max() <= 2


def test_a_profile_is_converted_to_srgb_and_a_broken_one_ignored() -> None:
    reference = encoded(scene(), "JPEG")
    swapped = _profile_with_red_and_blue_exchanged()
    assert close(images.load(crafted.with_profile(swapped)), images.load(reference)[:, :, ::-1], 3)
    assert np.array_equal(images.load(crafted.with_profile(crafted.srgb_profile())), images.load(reference))
    assert np.array_equal(images.load(crafted.with_profile(b"noise" * 99)), images.load(reference))


def _profile_with_red_and_blue_exchanged() -> bytes:
    """sRGB's profile in which the tags of red's and blue's primaries have each other's names."""
    profile = crafted.srgb_profile()
    return profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_read(kind: str) -> None:
    assert close(images.load(crafted.animated(kind)), scene(), 12)


def test_a_zip_behind_a_picture_changes_nothing() -> None:
    assert np.array_equal(images.load(crafted.jpeg() + b"PK\x03\x04" * 999), images.load(crafted.jpeg()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "kind", "expected"),
    [
        ((6000, 4000), "JPEG", (3000, 2000)),  # decoded at 1/2
        ((8300, 300), "JPEG", (4096, 148)),  # decoded at 1/2, then reduced
        ((4160, 3120), "JPEG", (4096, 3072)),  # 1/2 would lose too much
        ((6000, 2000), "JPEG", (4096, 1365)),  # and would save little here
        ((12000, 1000), "JPEG", (4096, 341)),  # decoded at 1/2, not at 1/4
        ((5000, 3000), "PNG", (4096, 2458)),
        ((4096, 100), "PNG", (4096, 100)),
    ],
)
def test_large_pictures_are_reduced(size: tuple[int, int], kind: str, expected: tuple[int, int]) -> None:
    picture = images.load_picture(encoded(scene(*size), kind))
    assert picture.source_size == size
    assert picture.pixels.shape == (expected[1], expected[0], 3)
    assert close(picture.pixels, scene(*expected), 1.5)


def test_strips_share_one_white(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOAD, "_STRIP_PIXELS", 200)  # ten rows
    dark_above = np.concatenate([np.full((20, 20), 1000), np.full((20, 20), 4000)]).astype(np.uint16)
    pixels = images.load(encoded(Image.fromarray(dark_above), "PNG"))
    assert (int(pixels[0, 0, 0]), int(pixels[-1, 0, 0])) == (62, 249)


HEICS = [("RGB", 8, 444), ("RGB", 10, 420), ("L", 8, 420), ("RGB", 10, 422), ("RGBA", 8, 420)]
ROWS = [6250, 6250, 6250, 4125, 3125]


@pytest.mark.parametrize(("kind", "rows"), list(zip(HEICS, ROWS, strict=True)), ids=str)
@pytest.mark.parametrize("times", [1, 2])
def test_the_limit_of_a_heic_follows_what_its_decoder_holds(
    kind: tuple[str, int, int], rows: int, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 8000 columns, so that 6250 rows are 50 megapixels; a higher limit raises them all."""
    monkeypatch.setattr(limits, "MAX_PIXELS", times * 50_000_000)
    with pytest.raises(CorruptImage):  # it is decoded, and turns out to have fewer pixels
        images.load(crafted.heic_of(times * rows, *kind))
    with pytest.raises(TooManyPixels, match=f"up to {times * rows * 8 // 1000} are read"):
        images.load(crafted.heic_of(times * rows + 1, *kind))


def test_reducing_in_strips_leaves_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SIDE", 300)
    monkeypatch.setattr(LOAD, "_STRIP_PIXELS", 5000)
    noise = np.random.default_rng(0).integers(0, 256, (430, 500, 3), dtype=np.uint8)
    pixels = images.load(noise)
    whole = Image.fromarray(noise).resize((300, 258), Image.Resampling.BILINEAR)
    assert np.abs(pixels.astype(int) - np.asarray(whole)).max() <= 1
