"""The decoder given what hypothesis makes of the corpus: a picture, or an InputError that helps, and nothing else.

The same examples each time; `make fuzz` searches on its own for longer.
"""

from __future__ import annotations

import random
from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from facemotion import images
from facemotion.errors import InputError, UnsupportedFormat
from facemotion.images import sanitize, sniff
from tests.security.fuzz.oracle import CASES, check
from tests.security.fuzz.seeds import repaired, seeds
from tests.support.media import crafted
from tests.support.media.bad_inputs import FILES, assert_helpful, assert_picture
from tests.support.media.crafted import encoded, scene

LOAD = import_module("facemotion.images.load")  # as an attribute of the package, `load` is the function
LARGEST = 6000  # bytes of a file that is worth mutating
FEW = settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=600)
# Pillow warns of what it finds odd; what counts is what comes out.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

LENGTHS = [0, 1, 2, 9, 10, 127, 128, 255, 256, 32767, 32768, 65535, 2**24 - 1, 2**31 - 1, 2**31, 2**32 - 1]


@cache
def corpus() -> list[bytes]:
    """What is mutated: made when a test asks, not when tests are collected, since some of the files are bombs."""
    small = {data for case in FILES if case.error in (None, UnsupportedFormat) and len(data := case.make()) < LARGEST}
    return sorted([*seeds().values(), *small])


def mutated(seed: int) -> bytes:
    """A file of the corpus after one to four edits, most of them in its first bytes, where the headers are."""
    draw = random.Random(seed)
    data = bytearray(draw.choice(corpus()))
    for _ in range(draw.choice([1, 1, 1, 2, 4])):
        start = draw.randrange(max(1, min(len(data), draw.choice([40, 200, LARGEST, LARGEST]))))
        draw.choice(EDITS)(draw, data, start)
    return repaired(bytes(data)) if draw.random() < 0.7 else bytes(data)


def _flip(draw: random.Random, data: bytearray, start: int) -> None:
    data[start : start + 1] = draw.randbytes(1)


def _cut(draw: random.Random, data: bytearray, start: int) -> None:
    del data[start : start + draw.choice([1, 2, 4, 16, LARGEST])]


def _splice(draw: random.Random, data: bytearray, start: int) -> None:
    other = draw.choice(corpus())
    data[start:start] = other[draw.randrange(len(other)) :][: draw.randint(1, 300)]


def _repeat(draw: random.Random, data: bytearray, start: int) -> None:
    data[start:start] = data[start : start + draw.randint(1, 60)] * draw.randint(1, 20)


def _length(draw: random.Random, data: bytearray, start: int) -> None:
    """Writes a number that is at the edge of something where a length, an offset or a size may stand."""
    width = draw.choice([2, 4])
    number = draw.choice(LENGTHS) % 256**width
    data[start : start + width] = number.to_bytes(width, draw.choice(["big", "little"]))


EDITS = (_cut, _flip, _flip, _length, _repeat, _splice)
SEED = st.integers(0, 2**32)


@pytest.mark.slow
@MANY
@given(seed=SEED)
def test_mutated_files(seed: int) -> None:
    check(mutated(seed))


@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda path: path.name)
def test_what_fuzzing_found(case: Path) -> None:
    check(case.read_bytes())


@FEW
@given(data=st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(InputError) as caught:
        images.load(data)
    assert_helpful(caught.value)


@FEW
@given(head=st.sampled_from(sniff._READ).map(lambda pair: pair[0]), data=st.binary(max_size=300))
def test_any_bytes_behind_a_good_beginning(head: bytes, data: bytes) -> None:
    check(head + data)


@cache
def plain_picture(kind: str) -> npt.NDArray[np.uint8]:
    return images.load(getattr(crafted, f"{kind}_with_exif")(b""))


@pytest.mark.parametrize("kind", ["avif", "heic", "jpeg", "png", "webp"])
@FEW
@given(body=st.binary(max_size=60), start=st.sampled_from([b"", b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08\0\1"]))
def test_any_exif_leaves_the_picture_as_it_is_but_for_turning(kind: str, body: bytes, start: bytes) -> None:
    pixels, plain = images.load(getattr(crafted, f"{kind}_with_exif")(start + body)), plain_picture(kind)
    turned = [turn(plain) for turn in LOAD._UPRIGHT.values()]
    assert any(np.array_equal(pixels, one) for one in turned)


TEXT = st.binary(max_size=200).map(lambda data: data.decode("utf-8", "surrogateescape"))


@FEW
@given(text=TEXT, head=st.sampled_from(["data:", "data:image/png;base64,", "", "http://", "/", "C:"]))
def test_any_text(text: str, head: str) -> None:
    with pytest.raises(InputError) as caught:
        images.load(head + text)
    assert_helpful(caught.value)


KINDS = [np.dtype(code) for code in "?bBhHiIqQefdgFDO"] + [np.dtype("U1"), np.dtype("S1"), np.dtype("M8[s]")]


@FEW
@given(seed=SEED, kind=st.sampled_from(KINDS), shape=st.lists(st.sampled_from([0, 1, 2, 3, 4, 9, 10, 40]), max_size=4))
def test_any_array(seed: int, kind: np.dtype[Any], shape: list[int]) -> None:
    array = np.zeros(shape, kind)
    if array.nbytes and kind.kind != "O":
        array = np.resize(np.frombuffer(random.Random(seed).randbytes(960), kind), shape)
    try:
        assert_picture(images.load(array[..., ::-1] if seed % 2 and array.ndim else array))
    except InputError as error:
        assert_helpful(error)


@FEW
@given(value=st.recursive(st.none() | st.booleans() | st.floats() | st.binary(max_size=9), st.lists, max_leaves=4))
def test_any_object(value: Any) -> None:
    with pytest.raises(InputError) as caught:
        images.load(value)
    assert_helpful(caught.value)


@FEW
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"]),
    size=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    info=st.dictionaries(
        st.sampled_from(["exif", "transparency", "icc_profile", "gamma"]),
        st.none() | st.integers() | st.binary(max_size=40) | st.text(max_size=5) | st.tuples(st.integers()),
    ),
)
def test_any_pil_image(mode: str, size: tuple[int, int], info: dict[str, Any]) -> None:
    image = Image.new(mode, size)
    image.info.update(info)
    try:
        assert_picture(images.load(image))
    except InputError as error:
        assert_helpful(error)


def test_the_rule_can_be_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of our own, a thin sentence and a wrong array are each noticed."""
    with monkeypatch.context() as patch:
        patch.setattr(sanitize, "_JPEG_KEPT", None)
        with pytest.raises(AssertionError, match="TypeError in sanitize"):
            check(crafted.with_exif(1))
    with monkeypatch.context() as patch:
        patch.setattr(LOAD, "_read", lambda _: images.Picture(np.zeros((9, 9), np.uint8), (9, 9)))
        with pytest.raises(AssertionError):
            check(b"")
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(LOAD, "_read", lambda _: 1 / 0)
        check(b"")


def test_mutations_reach_behind_the_checks() -> None:
    """Enough of what is tried is still a picture: a fuzzer whose files are all refused at the door tests the door."""
    outcomes = []
    for seed in range(150):
        try:
            images.load(mutated(seed))
            outcomes.append("read")
        except InputError as error:
            outcomes.append(error.code)
    assert outcomes.count("read") > 30
    assert outcomes.count("corrupt") > 20


def test_the_repair_makes_a_broken_png_whole() -> None:
    whole = encoded(scene(), "PNG")
    broken = whole[:-16] + bytes(4) + whole[-12:]
    assert repaired(broken) != broken and repaired(whole) == whole
    assert Image.open(BytesIO(repaired(broken))).verify() is None
