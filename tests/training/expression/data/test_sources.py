"""Data in every form, what is refused, and what the check counts; on FER2013 itself where it is at hand."""

import csv
import importlib.util
import json
import sys

import numpy as np
import pytest
from PIL import Image

from facemotion import EMOTIONS
from training.common import duplicates
from training.common.errors import DataError, naming_all
from training.expression.data import inspect, sources
from training.expression.data.dataset import load_split
from training.expression.data.ferplus import VOTES, load_votes, not_a_face


def picture(seed: int) -> np.ndarray:
    """A random picture, uint8 [48, 48], that no other seed gives."""
    return np.random.default_rng(seed).integers(0, 256, (48, 48), np.uint8)


def put(root, split, emotion, name, pixels):
    folder = root / split / emotion
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / f"{name}.png")


@pytest.fixture
def tree(tmp_path):
    """Seven pictures in train, three in validation; 3 = 0 with another label, 8 = 1, 9 nearly 2; 4 and 5 are blank."""
    root = tmp_path / "tree"
    for row, emotion in enumerate(("angry", "happy", "sad")):
        put(root, "train", emotion, row, picture(row))
    put(root, "train", "fear", 3, picture(0))
    put(root, "train", "neutral", 4, np.full((48, 48), 7, np.uint8))
    put(root, "train", "neutral", 5, np.full((48, 48), 7, np.uint8))
    put(root, "train", "surprise", 6, picture(6))
    put(root, "validation", "disgust", 7, picture(7))
    put(root, "validation", "happy", 8, picture(1))
    put(root, "validation", "sad", 9, np.clip(picture(2).astype(int) + 1, 0, 255).astype(np.uint8))
    return root


@pytest.fixture
def votes(tmp_path):
    """FER+'s own form, by position: row 4 is unanimously no face, row 5 by nine of ten, row 6 got no votes."""
    counts = {4: [0] * 9 + [10], 5: [1] + [0] * 8 + [9], 6: [0] * 10}
    header = ["Usage", "Image name", *VOTES[:-1], "NF"]
    rows = [["Training", "", *counts.get(row, [10] + [0] * 9)] for row in range(10)]
    return write_csv(tmp_path / "fer2013new.csv", [header, *rows])


def write_csv(file, rows):
    with file.open("w", newline="") as lines:
        csv.writer(lines).writerows(rows)
    return file


def challenge(tmp_path, rows, header=("emotion", "pixels", "Usage")):
    return write_csv(tmp_path / "fer2013.csv", [header, *rows])


def text(pixels):
    return " ".join(map(str, pixels.ravel().tolist()))


@pytest.mark.parametrize("prefix", ["", "images", "images/images"])
def test_reads_a_tree_with_or_without_the_folder_that_kaggle_puts_around_it(tmp_path, prefix):
    put(tmp_path / prefix, "train", "happy", 12, picture(0))
    put(tmp_path / prefix, "test", "sad", 13, picture(1))
    split = load_split(tmp_path, "train")
    assert (split.pictures == picture(0)).all()
    assert (split.labels.tolist(), split.names) == ([3], ("12",))
    assert sources.available(tmp_path) == ("train", "test")


def test_reads_the_challenges_csv_with_its_own_numbering(tmp_path):
    usages = ["Training"] * 5 + ["PublicTest", "PrivateTest"]
    rows = [[number, text(picture(number)), usages[number]] for number in range(7)]
    file = challenge(tmp_path, rows)
    train, validation, test = (load_split(file, split) for split in sources.SPLITS)
    assert [EMOTIONS[label] for label in train.labels] == ["angry", "disgust", "fear", "happy", "sad"]
    assert [EMOTIONS[label] for label in (*validation.labels, *test.labels)] == ["surprise", "neutral"]
    assert train.names == ("0", "1", "2", "3", "4")
    assert test.names == ("6",)
    assert (test.pictures[0] == picture(6)).all()
    assert sources.available(tmp_path) == sources.SPLITS, "the folder stands for the file in it"


def test_reads_the_columns_in_any_order_and_with_spaces(tmp_path):
    file = challenge(tmp_path, [["Training", "4", text(picture(0))]], ["Usage", " emotion", " pixels"])
    assert load_split(file, "train").labels.tolist() == [EMOTIONS.index("sad")]
    assert sources.available(file) == ("train",)


GOOD = text(np.zeros((48, 48), np.uint8))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["7", GOOD, "Training"], "emotion '7', but FER2013's are 0 to 6"),
        (["happy", GOOD, "Training"], "emotion 'happy'"),
        (["3", GOOD, "train"], "Usage 'train', but FER2013's are Training"),
        (["3", "1 2 3", "Training"], "row 0 of fer2013.csv has 3 pixels, but the pictures must be 48 x 48"),
        (["3", GOOD.replace("0", "256", 1), "Training"], "row 0 of fer2013.csv holds no grey levels"),
        (["3", GOOD.replace("0", "x", 1), "Training"], "row 0 of fer2013.csv holds no grey levels"),
        (["3", GOOD], "row 0 of .* has 2 columns"),
        ([], "row 0 of .* has 0 columns"),
    ],
)
def test_refuses_a_wrong_row_of_the_csv(tmp_path, row, message):
    with pytest.raises(DataError, match=message):
        load_split(challenge(tmp_path, [row]), "train")


def test_refuses_a_wrong_csv(tmp_path):
    with pytest.raises(DataError, match="lacks the column usage"):
        load_split(challenge(tmp_path, [], ["emotion", "pixels"]), "train")
    with pytest.raises(DataError, match="has no split 'all'"):
        load_split(challenge(tmp_path, []), "all")
    photo = tmp_path / "photo.png"
    Image.fromarray(picture(0)).save(photo)
    with pytest.raises(DataError, match=r"is not a CSV file|lacks the column"):
        load_split(photo, "train")


def test_refuses_what_is_not_there(tmp_path):
    with pytest.raises(DataError, match="does not exist: name a folder that holds train and validation"):
        load_split(tmp_path / "nowhere", "train")
    with pytest.raises(DataError, match="holds none of train, validation, test"):
        inspect.inspect(tmp_path)
    (tmp_path / "train" / "happy").mkdir(parents=True)
    with pytest.raises(DataError, match="holds no pictures in 'train'"):
        load_split(tmp_path, "train")


def test_says_that_kaggle_needs_kagglehub(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(DataError, match="pip install kagglehub"):
        load_split(sources.Path("kaggle"), "train")


def test_reads_from_kaggle_what_kagglehub_hands_over(monkeypatch, tree):
    class Client:
        answer = tree

        @classmethod
        def dataset_download(cls, name):
            assert name == "jonathanoheix/face-expression-recognition-dataset"
            if cls.answer is None:
                raise RuntimeError("403 Client Error")
            return str(cls.answer)

    monkeypatch.setitem(sys.modules, "kagglehub", Client)
    assert len(load_split(sources.Path("kaggle"), "validation")) == 3
    Client.answer = None
    with pytest.raises(DataError, match=r"403 Client Error\. Download it by hand"):
        load_split(sources.Path("kaggle"), "validation")


@pytest.mark.parametrize(
    ("drop", "names"),
    [
        ([], "0 1 2 3 4 5 6"),
        (["duplicates"], "0 1 2 4 6"),
        (["conflicts"], "1 2 4 5 6"),
        (["blank"], "0 1 2 3 6"),
        (["not_a_face"], "0 1 2 3 5 6"),
        (["duplicates", "conflicts"], "1 2 4 6"),
        (["conflicts", "duplicates"], "1 2 4 6"),
        (["other_splits"], "0 3 4 5 6"),
    ],
)
def test_drops_what_it_is_told_to(tree, votes, drop, names):
    assert " ".join(sorted(load_split(tree, "train", drop, votes).names)) == names


def test_refuses_to_drop_what_it_cannot(tree, tmp_path):
    with pytest.raises(DataError, match="cannot drop ugly: choose from duplicates"):
        load_split(tree, "train", ["ugly"])
    with pytest.raises(DataError, match=r"needs FER\+'s votes"):
        load_split(tree, "train", ["not_a_face"])
    with pytest.raises(DataError, match="does not exist"):
        load_split(tree, "train", ["not_a_face"], tmp_path / "none.csv")


def test_votes_are_found_by_row(tmp_path, votes):
    assert load_votes(votes)[4] == (0,) * 9 + (10,)
    numbered = write_csv(tmp_path / "numbered.csv", [["row", *VOTES], [31, *[0] * 9, 7]])
    assert not_a_face(load_votes(numbered), ["31"]).tolist() == [True]
    for name in ("30", "cat"):
        with pytest.raises(DataError, match=f"the picture '{name}' is none of their 1 rows"):
            not_a_face(load_votes(numbered), [name])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["row", "neutral"]], "lacks the column happiness"),
        ([VOTES, ["x"] * 10], "whole numbers"),
        ([VOTES, [1]], "whole"),
    ],
)
def test_refuses_wrong_votes(tmp_path, rows, message):
    with pytest.raises(DataError, match=message):
        load_votes(write_csv(tmp_path / "votes.csv", rows))


def test_the_check_counts_everything(tree, votes):
    (tree / "train" / "happy" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    put(tree, "validation", "sad", "wide", np.zeros((48, 50), np.uint8))
    report = inspect.inspect(tree, votes)
    assert report["splits"]["train"] == {e: {"neutral": 2, "disgust": 0}.get(e, 1) for e in EMOTIONS} | {"all": 7}
    assert (report["pictures"], report["different"]) == (10, 7)
    assert report["unreadable"] == ["train/happy/broken"]
    assert report["wrong_size"] == ["validation/sad/wide"]
    assert report["blank"] == ["train/neutral/4", "train/neutral/5"]
    assert report["not_a_face"] == ["train/neutral/4"]
    assert report["equal"] == {
        "groups": 3,
        "copies_within": {"train": 2, "validation": 0},
        "across": {"train in validation": 1, "validation in train": 1},
        "different_labels": [["train/angry/0", "train/fear/3"]],
    }
    assert [pair["pictures"] for pair in report["near"]] == [["train/sad/2", "validation/sad/9"]]
    assert json.loads(json.dumps(report)) == report
    markdown = inspect.to_markdown(report)
    for line in ("| all | 7 | 3 |", "| of validation, also in train | 1 |", "| of these, across splits | 1 |"):
        assert line in markdown.splitlines()
    assert "- train/angry/0 = train/fear/3" in markdown


@pytest.mark.parametrize("status", [0, 1])
def test_the_check_writes_both_files_and_ends_with_a_status(tree, tmp_path, monkeypatch, capsys, status):
    if status:
        (tree / "train" / "happy" / "broken.png").write_bytes(b"")
    monkeypatch.setattr(sys, "argv", ["check", "--data", str(tree), "--out", str(tmp_path / "report")])
    with pytest.raises(SystemExit) as ended:
        inspect.main()
    assert ended.value.code == status
    assert capsys.readouterr().out.startswith("# The data\n\n| images | train | validation |")
    assert json.loads((tmp_path / "report" / "data.json").read_text())["different"] == 7
    assert "no votes given" in (tmp_path / "report" / "data.md").read_text()


def test_the_check_refuses_with_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["check", "--data", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        inspect.main()
    assert ended.value.code == 2
    assert "holds none of train, validation, test" in capsys.readouterr().err


def test_hidden_files_are_no_pictures_and_every_bad_file_is_named(tree):
    """As macOS leaves them beside what it copies, and notebooks beside what they show."""
    for folder, name in (("train/happy", "._1.png"), ("train/.ipynb_checkpoints", "1.png"), ("train/sad", ".2.png")):
        (tree / folder).mkdir(exist_ok=True)
        (tree / folder / name).write_bytes(b"\x00\x05\x16\x07")
    assert load_split(tree, "train").names == ("0", "3", "1", "4", "5", "2", "6")
    bad = [tree / "train" / "happy" / "broken.jpg", tree / "train" / "sad" / "empty.png"]
    for file in bad:
        file.write_bytes(b"\xff\xd8\xff\xe0 no picture"[: 99 if file.suffix == ".jpg" else 0])
    put(tree, "train", "sad", "wide", np.zeros((48, 50), np.uint8))
    with pytest.raises(DataError) as caught:
        load_split(tree, "train")
    assert [line.split()[0] for line in str(caught.value).splitlines()] == [
        *map(str, bad),
        f"{tree}/train/sad/wide.png",
    ]


def test_very_many_bad_files_are_counted():
    lines = str(naming_all([str(number) for number in range(2500)])).splitlines()
    assert lines[998:] == ["998", "999", "and 1,500 more"]


def test_nearly_equal_is_blind_to_brightness_and_contrast_only():
    one, other = picture(0), picture(1)
    darker = (one * 0.7 + 9).astype(np.uint8)
    stack = np.stack([one, other, darker, np.roll(one, 12, axis=1), one])
    assert [(pair.first, pair.second) for pair in duplicates.near_pairs(stack)] == [(0, 2)]


def test_what_resembles_others_goes_with_its_copies():
    judged = np.stack([picture(0), picture(1)])
    again = (picture(0) * 0.7 + 9).astype(np.uint8)
    stack = np.stack([picture(2), again, picture(1), picture(3), again])
    assert duplicates.near_matches(stack, judged).tolist() == [False, True, True, False, True]
    assert not duplicates.near_matches(stack, judged[:0]).any()


@pytest.fixture(scope="module")
def fer2013(test_assets, tmp_path_factory):
    """FER2013 by row: pictures, labels and both splits, and the file of these, which holds the votes too."""
    script = test_assets / "data" / "fer2013.py"
    if not script.is_file():
        pytest.skip("the material beside the project holds no FER2013")
    spec = importlib.util.spec_from_file_location("fer2013", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    limit = Image.MAX_IMAGE_PIXELS
    try:
        pictures = module.tiles()
    finally:
        Image.MAX_IMAGE_PIXELS = limit  # which the script lifts for all
    votes = script.parent / "fer2013_labels.csv"
    with votes.open(newline="") as lines:
        return pictures, list(csv.DictReader(lines)), votes


KAGGLE = {"train": 28821, "validation": 7066}
OFFICIAL = {"train": 28709, "validation": 3589, "test": 3589}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "sizes", "shared"),
    [("kaggle", KAGGLE, {"validation in train": 542}), ("official", OFFICIAL, {"test in train": 288})],
)
def test_the_numbers_of_fer2013(monkeypatch, fer2013, form, sizes, shared):
    pictures, rows, votes = fer2013

    def scan(data, split, side=0):
        for number, row in enumerate(rows):
            if sources.USAGES.get(row[form], row[form]) == split:
                yield sources.Entry(str(number), EMOTIONS.index(row["emotion"]), pictures[number])

    monkeypatch.setattr("training.expression.data.dataset.scan", scan)
    monkeypatch.setattr(inspect, "available", lambda data: tuple(sizes))
    report = inspect.inspect(votes.parent, votes, near=False)
    assert {name: counts["all"] for name, counts in report["splits"].items()} == sizes
    assert (report["pictures"], report["different"]) == (35_887, 34_034)
    assert shared.items() <= report["equal"]["across"].items()
    assert len(report["equal"]["different_labels"]) == 57
    assert len(report["not_a_face"]) == 176
    assert len(report["blank"]) == 13
    reshuffled = [row for row in rows if (row["kaggle"], row["official"]) == ("train", "PrivateTest")]
    assert len(reshuffled) == 2_846  # why a model of the Kaggle split says nothing about PrivateTest
