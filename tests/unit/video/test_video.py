"""Video files in, annotated video files out: what is kept, what is bounded, and what is refused."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from facemotion import Analysis
from facemotion.errors import ModelFailure, StorageError
from facemotion.faces import EMOTIONS
from facemotion.tracking.timeline import MAX_PEOPLE, MAX_RUNS, Timeline
from facemotion.video import VideoJob, annotate_video
from facemotion.video.frames import LONG_SIDE
from facemotion.video.job import interpolate
from tests.support.media.synthetic_videos import ONE, Recipe, Scene, turn, write, write_frames
from tests.support.models.builders import analysis, face

ROOT = Path(__file__).resolve().parents[3]
PLAIN = Scene([], size=(320, 180))
VP9 = Recipe(codec="libvpx-vp9", sound="libopus", sound_rate=48_000)


class Finder:
    """A pipeline that finds one face, in the left half of a picture, and counts."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def analyze(self, source, *, detail="auto", threshold=None):
        height, width = source.shape[:2]
        self.sizes.append((width, height))
        one = face(1, (width * 0.1, height * 0.2, width * 0.3, height * 0.7))
        return Analysis(width, height, (width, height), (one,), models={"detector": "d", "classifier": "c"})


def frames(path: Path) -> list[tuple[float, np.ndarray]]:
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def packets(path: Path) -> list[bytes]:
    """The sound as it is stored."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def seconds(path: Path, kind: str) -> tuple[float, float]:
    """When the first stream of a kind begins and ends."""
    with av.open(str(path)) as container:
        stream = next(one for one in container.streams if one.type == kind)
        return float(stream.start_time * stream.time_base), float(
            (stream.start_time + stream.duration) * stream.time_base
        )


def left_over(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


@pytest.mark.parametrize(
    ("name", "recipe", "sound"),
    [
        ("a.mp4", Recipe(), "kept"),
        ("a.mov", Recipe(codec="mjpeg"), "kept"),
        ("a.webm", VP9, "kept"),
        ("a.mkv", Recipe(sound="flac"), "encoded"),
        ("a.avi", Recipe(codec="mpeg4", sound="pcm_s16le"), "encoded"),
        ("a.mp4", Recipe(sound=None), "none"),
    ],
)
def test_every_kind_becomes_an_mp4_that_browsers_play(tmp_path: Path, name: str, recipe: Recipe, sound: str) -> None:
    source, target = write(tmp_path / name, PLAIN, recipe), tmp_path / "out.mp4"
    result = annotate_video(Finder(), source, target)
    with av.open(str(target)) as container:
        video = container.streams.video[0].codec_context
        assert (container.format.name[:3], video.name, video.pix_fmt, video.width) == ("mov", "h264", "yuv420p", 320)
    data = target.read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat"), "the index does not come first"
    assert (result.sound, result.frames, len(frames(target))) == (sound, 38, 38)
    if sound != "none":
        assert seconds(target, "audio") == pytest.approx(seconds(target, "video"), abs=0.06)
    if sound == "kept":
        assert packets(target) == packets(source)


def test_sound_may_change_its_channels(tmp_path: Path) -> None:
    """As in recordings of television, between a film and advertisements."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        pictures = container.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        sound = container.add_stream("ac3", rate=48_000, layout="5.1(side)")
        for _ in range(16):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")))
        container.mux(pictures.encode(None))
        stereo = av.CodecContext.create("ac3", "w")
        stereo.sample_rate, stereo.layout, stereo.format = 48_000, "stereo", "fltp"
        for index in range(20):
            encoder, layout, channels = (sound, "5.1(side)", 6) if index < 10 else (stereo, "stereo", 2)
            silence = av.AudioFrame.from_ndarray(np.zeros((channels, 1536), np.float32), "fltp", layout)
            silence.sample_rate, silence.pts = 48_000, index * 1536
            for packet in encoder.encode(silence):
                packet.stream = sound
                container.mux(packet)
    result = annotate_video(Finder(), tmp_path / "a.mkv", tmp_path / "out.mp4")
    assert result.sound == "encoded" and seconds(tmp_path / "out.mp4", "audio")[1] == pytest.approx(0.64, abs=0.06)


@pytest.mark.slow
def test_the_faces_are_drawn_and_told(tmp_path: Path, pipeline) -> None:
    source, target, table = write(tmp_path / "a.mp4"), tmp_path / "out.mp4", tmp_path / "out.csv"
    done: list[float] = []
    result = annotate_video(pipeline, source, target, table, done.append)
    assert [one.id for one in result.people] == [1]
    assert max(result.people[0].seconds, key=result.people[0].seconds.get) == "happy"
    assert result.analysed * 2 < result.frames
    assert done == sorted(done) and done[-1] == 1 and done[0] == 0
    rows = list(csv.DictReader(table.read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) == result.analysed
    assert {row["id"] for row in rows} == {"1"} and {row["expression"] for row in rows} == {"happy"}
    assert sum(float(rows[0][name]) for name in EMOTIONS) == pytest.approx(1, abs=0.001)
    x0, _, x1, _ = (float(rows[-1][side]) for side in ("x0", "y0", "x1", "y1"))
    assert x0 < 220 + 80 * float(rows[-1]["time_s"]) < x1
    changed = [(a != b).mean() for (_, a), (_, b) in zip(frames(source), frames(target), strict=True)]
    assert min(changed) > 0
    assert left_over(tmp_path) == ["a.mp4", "out.csv", "out.mp4"]


def test_the_box_follows_the_face_between_analysed_frames(tmp_path: Path) -> None:
    """A white bar runs through a black picture; what is drawn around it has to keep up in every frame."""

    class Bar:
        def analyze(self, source, *, detail="auto", threshold=None):
            left = int(np.argmax(source[100, :, 1] > 128))
            return Analysis(640, 360, (640, 360), (face(1, (left, 80, left + 60, 200)),))

    def bar(t: float) -> np.ndarray:
        picture = np.zeros((360, 640, 3), np.uint8)
        picture[90:190, round(100 + 200 * t) : round(100 + 200 * t) + 60] = 255
        return picture

    shots = [(bar(i / 30), i / 30) for i in range(45)]
    source = write_frames(tmp_path / "a.mp4", shots, Recipe(fps=30, sound=None))
    annotate_video(Bar(), source, tmp_path / "out.mp4")
    off = []
    for time_s, picture in frames(tmp_path / "out.mp4")[10:]:
        coloured = np.ptp(picture[197:204].astype(int), axis=2).max(axis=0) > 60  # the lower edge of the box
        off.append(abs(float(np.nonzero(coloured)[0].mean()) - (130 + 200 * time_s)))
    assert max(off) < 6


def test_frames_keep_their_own_times(tmp_path: Path) -> None:
    times = [0.0, 0.04, 0.05, 0.3, 0.31, 0.32, 1.0, 1.9]
    source = write(tmp_path / "a.mp4", PLAIN, Recipe(times=times, sound=None))
    annotate_video(Finder(), source, tmp_path / "out.mp4")
    assert [time_s for time_s, _ in frames(tmp_path / "out.mp4")] == pytest.approx(times, abs=0.001)


def test_a_video_that_begins_late_begins_at_once(tmp_path: Path) -> None:
    times = [5 + index / 25 for index in range(25)]
    source = write(tmp_path / "a.mkv", PLAIN, Recipe(times=times, sound=None))
    result = annotate_video(Finder(), source, tmp_path / "out.mp4")
    assert frames(tmp_path / "out.mp4")[0][0] == pytest.approx(0, abs=0.01)
    assert result.duration_s == pytest.approx(1.0, abs=0.01)


CORNERS = {
    0: (255, 0, 0),
    90: (0, 0, 255),
    180: (255, 255, 255),
    270: (0, 255, 0),
}  # brought to the top left


@pytest.mark.parametrize("degrees", CORNERS)
def test_pictures_stand_upright(tmp_path: Path, degrees: int) -> None:
    picture = np.zeros((160, 320, 3), np.uint8)
    picture[:80, :160], picture[:80, 160:], picture[80:, :160], picture[80:, 160:] = (
        (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255),
    )  # fmt: skip
    source = write_frames(tmp_path / "a.mp4", [(picture, 0.0), (picture, 0.04)], Recipe(sound=None))
    if degrees:
        turn(source, degrees)
    result = annotate_video(Nobody(), source, tmp_path / "out.mp4")
    shown = frames(tmp_path / "out.mp4")[0][1]
    size = (160, 320) if degrees in (90, 270) else (320, 160)
    assert result.size == result.source_size == size == (shown.shape[1], shown.shape[0])
    assert shown[20, 20] == pytest.approx(CORNERS[degrees], abs=25)


class Nobody(Finder):
    """A pipeline that finds no face, so that nothing is drawn."""

    def analyze(self, source, **more):
        return Analysis(source.shape[1], source.shape[0], (source.shape[1], source.shape[0]))


@pytest.mark.parametrize("size", [(320, 180), (1280, 720)])
def test_colours_stay_what_they_are(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = np.empty((size[1], size[0], 3), np.uint8)
    picture[:] = (200, 90, 40)
    source = write_frames(tmp_path / "a.mp4", [(picture, 0.0)], Recipe(sound=None))
    annotate_video(Nobody(), source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1)
        there = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()[50, 50]
    tagged = "ITU709" if size[1] >= 720 else "ITU601"  # what players take for an untagged source
    with av.open(str(source)) as container:
        here = next(container.decode(video=0)).reformat(format="rgb24", src_colorspace=tagged).to_ndarray()[50, 50]
    assert there == pytest.approx(here, abs=6)


@pytest.mark.parametrize(
    ("size", "aspect", "expected"),
    [
        ((321, 181), None, (320, 180)),
        ((3840, 2160), None, (1280, 720)),
        ((1080, 1920), None, (720, 1280)),
        ((1366, 768), None, (1280, 720)),
        ((360, 288), Fraction(16, 11), (524, 288)),
    ],
)
def test_sizes(tmp_path: Path, size: tuple[int, int], aspect: Fraction | None, expected: tuple[int, int]) -> None:
    picture = np.full((size[1], size[0], 3), 90, np.uint8)
    recipe = Recipe(sound=None, pixel_aspect=aspect)
    source = write_frames(tmp_path / "a.mp4", [(picture, 0.0), (picture, 0.04)], recipe)
    finder = Finder()
    result = annotate_video(finder, source, tmp_path / "out.mp4")
    shown = frames(tmp_path / "out.mp4")[0][1]
    assert result.size == finder.sizes[0] == (shown.shape[1], shown.shape[0])
    assert result.size == pytest.approx(expected, abs=2)
    assert max(result.size) <= LONG_SIDE and not any(side % 2 for side in result.size)


def test_a_video_that_breaks_off_is_done_as_far_as_it_goes(tmp_path: Path) -> None:
    data = write(tmp_path / "a.mkv", ONE, Recipe(seconds=3, sound=None)).read_bytes()
    (tmp_path / "a.mkv").write_bytes(data[: len(data) // 2])
    result = annotate_video(Finder(), tmp_path / "a.mkv", tmp_path / "out.mp4")
    assert 10 < result.frames < 75 and len(frames(tmp_path / "out.mp4")) == result.frames


def test_says_where_it_cannot_write(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", PLAIN)
    with pytest.raises(StorageError, match=r"out\.mp4"):
        annotate_video(Finder(), source, tmp_path / "nowhere" / "out.mp4")


def test_a_table_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4", PLAIN)
    with pytest.raises(StorageError, match=r"'out\.mp4' or 'out\.csv' could not be written"):
        annotate_video(Finder(), source, tmp_path / "out.mp4", tmp_path / "nowhere" / "out.csv")
    assert left_over(tmp_path) == ["a.mp4"]


@pytest.mark.slow
def test_the_memory_needed_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """400 frames of 640 x 360 are 276 MB when they are all held."""
    for name, count in (("short", 40), ("long", 400)):
        write(tmp_path / f"{name}.mp4", Scene([]), Recipe(seconds=count / 60, fps=60, codec="mpeg4", sound=None))
    code = (
        "import resource; from tests.unit.video.test_video import Nobody; from facemotion.video import annotate_video\n"
        "for name in ('short', 'long'):\n"
        f"    annotate_video(Nobody(), {str(tmp_path)!r} + f'/{{name}}.mp4', {str(tmp_path / 'out.mp4')!r})\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    short, long = (int(line) / 1000 for line in done.stdout.split())  # MB
    assert long - short < 60


@pytest.mark.parametrize("how", ["stop", "close"])
def test_a_job_that_is_stopped_leaves_nothing_behind(tmp_path: Path, how: str) -> None:
    source = write(tmp_path / "a.mp4", ONE, Recipe(seconds=4))
    job = VideoJob(Finder(), source, tmp_path / "out.mp4", tmp_path / "out.csv")
    running = job.run()
    for _ in range(20):
        next(running)
    assert len(left_over(tmp_path)) == 3
    started = time.monotonic()
    if how == "stop":
        threading.Thread(target=job.stop).start()
        assert all(done < 1 for done in running)
    else:
        running.close()
    assert time.monotonic() - started < 1
    assert job.result is None and left_over(tmp_path) == ["a.mp4"]


def test_a_model_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    class Broken(Finder):
        def analyze(self, source, **more):
            raise ModelFailure("The face detector failed.")

    with pytest.raises(ModelFailure):
        annotate_video(Broken(), write(tmp_path / "a.mp4", PLAIN), tmp_path / "out.mp4", tmp_path / "out.csv")
    assert left_over(tmp_path) == ["a.mp4"]


def test_between_two_moments() -> None:
    before = analysis(face(1, (0, 0, 10, 10), "happy"), face(2, (50, 0, 60, 10)))
    after = analysis(face(3, (80, 0, 90, 10)), face(1, (20, 0, 30, 20), "sad"))
    early, late = interpolate(before, after, 0.25), interpolate(before, after, 0.75)
    assert [(one.id, tuple(one.box), one.expression) for one in early.faces] == [
        (1, (5, 0, 15, 12.5), "happy"),
        (2, (50, 0, 60, 10), "happy"),
    ]
    assert [(one.id, tuple(one.box), one.expression) for one in late.faces] == [
        (1, (15, 0, 25, 17.5), "sad"),
        (3, (80, 0, 90, 10), "happy"),
    ]


def test_runs_of_expressions() -> None:
    timeline = Timeline()
    for time_s, expression in [(0, "happy"), (0.5, "happy"), (1, "sad"), (1.5, "sad"), (4, "sad"), (4.5, "sad")]:
        timeline.add([face(1, expression=expression)], time_s)
    (one,) = timeline.people
    assert [(run.start_s, run.end_s, run.expression) for run in one.runs] == [
        (0, 1, "happy"),
        (1, 1.5, "sad"),
        (4, 4.5, "sad"),
    ]
    assert one.seconds["sad"] == 1 and one.to_dict()["seconds"]["happy"] == 1


def test_a_hostile_crowd_stays_bounded() -> None:
    timeline = Timeline()
    for index in range(3 * MAX_PEOPLE):
        timeline.add([face(index + 1), face(1, expression="sad" if index % 2 else "happy")], index / 10)
    for index in range(MAX_RUNS):
        timeline.add([face(1, expression="sad" if index % 2 else "happy")], 200 + index / 10)
    assert len(timeline.people) == MAX_PEOPLE and len(timeline.people[0].runs) == MAX_RUNS
