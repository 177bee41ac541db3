"""Many photos at once: bad ones among good ones, limits, files, totals, and what is shown of them."""

import codecs
import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facemotion import EMOTIONS, Analysis, Box, Face, images, settings
from facemotion.errors import MissingInput, TooManyPictures
from facemotion.webui.sessions import gallery
from facemotion.webui.sessions.gallery import GallerySession
from facemotion.webui.tabs import gallery as gallery_tab

HAPPY = tuple(0.7 if name == "happy" else 0.05 for name in EMOTIONS)


class OneFace:
    """A pipeline that finds one happy face in the middle of everything."""

    models = {"detector": "fake", "classifier": "fake"}

    def analyze(self, picture: images.Picture) -> Analysis:
        height, width = picture.pixels.shape[:2]
        box = Box(width / 4, height / 4, width / 2, height / 2)
        return Analysis(width, height, picture.source_size, (Face(1, box, 0.9, HAPPY),), self.models)


@pytest.fixture
def keep(tmp_path):
    folder = tmp_path / "kept"

    def write(content: bytes, name: str) -> str:
        folder.mkdir(exist_ok=True)
        path = folder / f"{len(list(folder.iterdir()))}-{name}"
        path.write_bytes(content)
        return str(path)

    return write


def photo(folder: Path, name: str, size: tuple[int, int] = (200, 100), orientation: int = 1) -> str:
    picture = Image.new("RGB", size, (90, 120, 150))
    exif = picture.getexif()
    exif[0x0112] = orientation
    picture.save(folder / name, exif=exif)
    return str(folder / name)


def opened(path: str) -> Image.Image:
    return Image.open(io.BytesIO(Path(path).read_bytes()))


def read(paths, keep) -> GallerySession:
    album = GallerySession(len(paths))
    assert sum(1 for _ in gallery.read_photos(OneFace(), paths, album, keep)) == len(paths)
    return album


def test_one_bad_file_does_not_spoil_the_rest(tmp_path, keep):
    (tmp_path / "notes.jpg").write_text("not a picture at all")
    (tmp_path / "empty.png").write_bytes(b"")
    good = [photo(tmp_path, "a.jpg"), photo(tmp_path, "b.png")]
    album = read([good[0], str(tmp_path / "notes.jpg"), str(tmp_path / "empty.png"), good[1]], keep)
    assert [entry.name for entry in album.shown] == ["a.jpg", "b.png"]
    assert [entry.name for entry in album.unreadable] == ["notes.jpg", "empty.png"]
    summary = gallery_tab._summary(album)
    assert "2 faces" in summary and "notes.jpg" in summary and str(tmp_path) not in summary


def test_photos_are_turned_upright(tmp_path, keep):
    entry = read([photo(tmp_path, "turned.jpg", (200, 100), orientation=6)], keep).shown[0]
    assert opened(entry.large).size == (100, 200)
    assert (entry.analysis.width, entry.analysis.height) == (100, 200)


def test_only_small_pictures_are_kept(tmp_path, keep):
    entry = read([photo(tmp_path, "large.jpg", (4000, 3000))], keep).shown[0]
    assert max(opened(entry.large).size) == gallery.LARGE_SIDE
    assert max(opened(entry.thumbnail).size) == gallery.THUMB_SIDE
    assert not opened(entry.large).getexif()


@pytest.mark.parametrize(("count", "error"), [(0, MissingInput), (settings.MAX_PICTURES + 1, TooManyPictures)])
def test_the_number_of_photos_has_limits(count, error):
    with pytest.raises(error):
        gallery.check_count(["photo.jpg"] * count)
    gallery.check_count(["photo.jpg"] * settings.MAX_PICTURES)


def test_downloads_hold_every_photo(tmp_path, keep):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    (tmp_path / "twin").mkdir()
    paths = [photo(tmp_path, "one.jpg"), str(tmp_path / "bad.jpg"), photo(tmp_path / "twin", "one.jpg")]
    album = read(paths, keep)
    assert gallery.csv_bytes(album).startswith(codecs.BOM_UTF8)
    rows = list(csv.DictReader(io.StringIO(gallery.csv_bytes(album).decode("utf-8-sig"))))
    assert [(row["picture"], row["expression"]) for row in rows] == [
        ("one.jpg", "happy"),
        ("bad.jpg", ""),
        ("one.jpg", "happy"),
    ]
    assert [one["name"] for one in json.loads(gallery.json_bytes(album))] == ["one.jpg", "bad.jpg", "one.jpg"]
    with zipfile.ZipFile(io.BytesIO(gallery.zip_bytes(album))) as archive:
        assert archive.namelist() == ["01-one.jpg", "02-one.jpg"]
        assert np.asarray(Image.open(archive.open("01-one.jpg"))).shape == (100, 200, 3)


def test_a_name_is_shown_as_text(tmp_path, keep):
    (tmp_path / "<img src=x>.jpg").write_text("no picture")
    summary = gallery_tab._summary(read([str(tmp_path / "<img src=x>.jpg")], keep))
    assert "<img" not in summary and "&lt;img" in summary


def test_totals_name_all_expressions_with_numbers(tmp_path, keep):
    html = gallery_tab._totals(read([photo(tmp_path, f"{index}.jpg") for index in range(3)], keep))
    assert 'aria-label="happy: 3 faces"' in html
    assert all(f'aria-label="{name}: 0 faces"' in html for name in EMOTIONS if name != "happy")


def test_a_cancelled_album_shows_what_was_read(tmp_path, keep):
    album = GallerySession(3)
    reading = gallery.read_photos(OneFace(), [photo(tmp_path, "a.jpg")] * 3, album, keep)
    next(reading)
    button = gallery_tab._cancel(album)
    assert (button.value, button.interactive) == ("Stopping ...", False)
    assert list(reading) == []  # the photo at work was the last
    assert "Cancelled after 2 of 3" in gallery_tab._summary(album)


def test_no_photos_and_no_faces_are_ordinary():
    album = GallerySession(0)
    assert "0 faces" in gallery_tab._summary(album)
    assert "happy: 0 faces" in gallery_tab._totals(album)
