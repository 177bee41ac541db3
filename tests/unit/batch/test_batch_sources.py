"""What `facemotion batch` takes: folders, globs, lists, Parquet columns, addresses; the list that comes of them."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow
import pytest
from PIL import Image
from pyarrow import parquet

from facemotion.batch import plan, sources, storage
from facemotion.batch.sources import Item, Listing
from facemotion.errors import BadOption, MissingInput


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """b.jpg, a.PNG, notes.txt, clip.mp4, 2019/{c.jpg, deep/d.heic}, what is hidden or a run's own, a link round."""
    folder = tmp_path / "archive"
    for name in ("2019/deep", ".thumbnails", "_facemotion"):
        (folder / name).mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", ".hidden.jpg", "clip.mp4", "2019/c.jpg", "2019/deep/d.heic"):
        (folder / name).write_bytes(b"x")
    for name in (".thumbnails/b.jpg", "_facemotion/b.jpg"):
        (folder / name).write_bytes(b"x")
    (folder / "notes.txt").write_text("no list, as long as it is in a folder")
    (folder / "2019" / "round").symlink_to(folder, target_is_directory=True)
    return folder


def listed(*given: str | Path, column: str | None = None) -> list[Item]:
    return list(Listing([str(one) for one in given], column))


def names(items: list[Item], folder: Path) -> list[str]:
    return [item.address.removeprefix(f"{folder}/") for item in items]


def test_a_folder_stands_for_all_in_it_in_one_order(archive: Path) -> None:
    found = listed(archive)
    assert names(found, archive) == ["a.PNG", "b.jpg", "clip.mp4", "2019/c.jpg", "2019/deep/d.heic"]
    assert [item.kind for item in found] == ["picture", "picture", "video", "picture", "picture"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.jpg", ["b.jpg"]),
        ("*/*.jpg", ["2019/c.jpg"]),
        ("**/*.[jh]*", ["b.jpg", "2019/c.jpg", "2019/deep/d.heic"]),
        ("20??/**/*", ["2019/c.jpg", "2019/deep/d.heic"]),
        ("[!b].*", ["a.PNG"]),
        ("*", ["a.PNG", "b.jpg", "clip.mp4"]),  # notes.txt is no picture, and is not meant as a list
        ("*.txt", ["no list, as long as it is in a folder"]),
    ],
)
def test_a_glob_stands_for_the_files_that_it_fits(pattern: str, expected: list[str], archive: Path) -> None:
    assert names(listed(archive / pattern), archive) == expected


def test_a_file_whose_name_looks_like_a_glob_is_that_file(archive: Path) -> None:
    (archive / "b[1].jpg").write_bytes(b"x")
    (archive / "b1.jpg").write_bytes(b"x")
    assert names(listed(archive / "b[1].jpg"), archive) == ["b[1].jpg"]


def test_a_list_names_a_picture_in_each_line_relative_to_itself(archive: Path) -> None:
    file = archive.parent / "list.txt"
    file.write_text(f"archive/b.jpg\n\n{archive}/2019/c.jpg\r\nfile://{archive}/a.PNG\ngone.jpg\ns3://bucket/x.jpg\n")
    found = [item.address for item in listed(file)]
    local = [f"{archive}/b.jpg", f"{archive}/2019/c.jpg", f"file://{archive}/a.PNG", f"{archive.parent}/gone.jpg"]
    assert found == [*local, "s3://bucket/x.jpg"]  # nobody is asked yet whether it is there


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_may_begin_with_a_byte_order_mark(encoding: str, tmp_path: Path) -> None:
    """As editors on Windows and PowerShell write it."""
    (tmp_path / "list.txt").write_text("caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg\r\nb c.jpg\r\n", encoding)
    found = names(listed(tmp_path / "list.txt"), tmp_path)
    assert found == ["caf\N{LATIN SMALL LETTER E WITH ACUTE}.jpg", "b c.jpg"]


def test_a_link_that_leads_to_itself_is_an_item_not_the_end(archive: Path) -> None:
    (archive / "loop.jpg").symlink_to("loop.jpg")
    assert "loop.jpg" in names(listed(archive), archive)


@pytest.mark.parametrize("pattern", ["", "**/*.jpg"])
def test_a_folder_that_may_not_be_searched_is_an_item_not_the_end(pattern: str) -> None:
    """Its row says so; all else is listed."""
    with tempfile.TemporaryDirectory() as folder, unprivileged(Path(folder)):
        for name in ("closed", "open"):
            Path(folder, name).mkdir()
            Path(folder, name, "a.jpg").write_bytes(b"x")
        Path(folder, "closed").chmod(0)
        try:
            found = names(listed(Path(folder, pattern)), Path(folder))
        finally:
            Path(folder, "closed").chmod(0o700)
    assert found == ["closed/", "open/a.jpg"]


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Takes root's rights for a while, which no permission stops, and gives the folder to whoever is left."""
    if os.geteuid() != 0:
        yield
        return
    nobody = 65534
    os.chown(folder, nobody, nobody)
    os.seteuid(nobody)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_column_of_paths_and_one_of_bytes(archive: Path) -> None:
    table = pyarrow.table({"id": [1, 2, 3], "path": ["b.jpg", None, "2019/c.jpg"], "data": [b"1", b"2", None]})
    parquet.write_table(table, archive / "list.parquet", row_group_size=2)
    assert [item.address.removeprefix(f"{archive}/") for item in listed(archive / "list.parquet")] == [
        "b.jpg",
        "",
        "2019/c.jpg",
    ]
    by_bytes = listed(archive / "list.parquet", column="data")
    assert [(item.kind, item.row) for item in by_bytes] == [("bytes", 0), ("bytes", 1), ("bytes", 2)]


def test_a_parquet_file_whose_column_is_not_clear_says_so(tmp_path: Path) -> None:
    parquet.write_table(pyarrow.table({"first": ["a"], "second": ["b"]}), tmp_path / "list.parquet")
    with pytest.raises(BadOption, match=r"first, second .*--column"):
        listed(tmp_path / "list.parquet")
    with pytest.raises(BadOption, match=r"no column 'third'.*first, second"):
        listed(tmp_path / "list.parquet", column="third")
    (tmp_path / "no.parquet").write_text("no parquet")
    with pytest.raises(BadOption, match="no Parquet file"):
        listed(tmp_path / "no.parquet")


@pytest.mark.parametrize("name", ["nowhere", "nowhere/*.jpg", "nowhere/list.txt"])
def test_a_source_that_is_not_there_is_an_error_not_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="nowhere"):
        listed(tmp_path / name)


def test_addresses_with_passwords_are_refused_also_in_lists(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match="holds a password"):
        storage.locate("s3://key:secret@bucket/folder")  # pragma: allowlist secret
    (tmp_path / "list.txt").write_text("a.jpg\ns3://key:secret@bucket/b.jpg\n")  # pragma: allowlist secret
    with pytest.raises(BadOption, match="holds a password"):
        listed(tmp_path / "list.txt")


def test_an_address_that_nobody_knows_says_so() -> None:
    with pytest.raises(BadOption, match="zz:// addresses cannot be opened"):
        storage.locate("zz://somewhere/x")


def test_addresses_of_this_machine_and_of_fsspec(archive: Path) -> None:
    assert names(listed(f"file://{archive}/2019"), archive) == ["2019/c.jpg", "2019/deep/d.heic"]
    through = storage.locate(f"local://{archive}/new/folder/file")
    storage.write(through, b"whole")
    assert (archive / "new" / "folder" / "file").read_bytes() == b"whole"
    assert storage.read(through) == b"whole"
    assert [item.address for item in listed(f"local://{archive}/*.jpg")] == [f"local://{archive}/b.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="names that are no text exist on Linux")
def test_a_name_that_is_no_text_goes_through_the_list(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/p/caf\xe9.jpg"
    (tmp_path / "p").mkdir()
    Path(os.fsdecode(raw)).write_bytes(b"x")
    folder = storage.locate(str(tmp_path / "list"))
    size = plan.write(folder, Listing([str(tmp_path / "p")]))
    assert [os.fsencode(item.address) for item in plan.read(folder, size.part(0))] == [raw]


def test_parts_cover_all_items_once_pictures_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "SHARD_ITEMS", 10)  # several shards, and parts across their borders
    folder = storage.locate(str(tmp_path))
    items = [Item("video" if number % 4 == 3 else "picture", f"/{number}") for number in range(60)]
    size = plan.write(folder, items, limit=50, part_pictures=7, videos=True)
    assert (size.pictures, size.videos) == (38, 12)
    parts = list(size.parts())
    assert [part.number for part in parts] == list(range(size.count))
    found = [item for part in parts for item in plan.read(folder, part)]
    assert found == [item for item in items[:50] if item.kind == "picture"] + [
        item for item in items[:50] if item.kind == "video"
    ]
    assert [part.start for part in parts] == [
        sum(p.last - p.first for p in parts[:index]) for index in range(len(parts))
    ]


@pytest.mark.parametrize(("pictures", "in_part"), [(10, 32), (20_000, 32), (1_000_000, 1000), (1_000_000_000, 4096)])
def test_parts_grow_with_the_number_of_pictures_within_bounds(pictures: int, in_part: int) -> None:
    assert plan.pictures_in_part(pictures) == in_part


def test_the_root_tells_whether_a_source_has_vanished(archive: Path) -> None:
    (archive.parent / "list.txt").write_text("archive/b.jpg\narchive/2019/c.jpg\n")
    listing = Listing([str(archive), str(archive / "*.jpg"), str(archive.parent / "list.txt")])
    list(listing)
    assert listing.roots == [str(archive)] * 3
    assert sources.is_alive(str(archive))
    archive.rename(archive.parent / "elsewhere")
    assert not sources.is_alive(str(archive))
    archive.mkdir()  # as a disk leaves it that is no longer mounted
    assert not sources.is_alive(str(archive))


def test_a_list_of_which_only_the_first_are_wanted_has_a_root(archive: Path, tmp_path: Path) -> None:
    (archive.parent / "list.txt").write_text("archive/b.jpg\narchive/2019/c.jpg\n")
    listing = Listing([str(archive.parent / "list.txt")])
    assert plan.write(storage.locate(str(tmp_path / "list")), listing, limit=2).items == 2
    assert listing.roots == [str(archive)]


def test_a_picture_given_by_itself_has_no_root(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    listing = Listing([str(tmp_path / "a.png")])
    assert [item.address for item in listing] == [str(tmp_path / "a.png")]
    assert listing.roots == [""]
