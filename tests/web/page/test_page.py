"""The page without a server: its parts, its doors, its errors."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from gradio.state_holder import StateHolder

from facemotion import errors, settings
from facemotion.faces import EMOTIONS, Analysis, Box, Face
from facemotion.images import Picture
from facemotion.webui import build_page, launch_options
from facemotion.webui.components import downloads
from facemotion.webui.components.image_size import fit_within
from facemotion.webui.components.uploads import PhotoInput
from facemotion.webui.gradio_patches import public_blocks, session_cleanup
from facemotion.webui.html import text as text_html
from facemotion.webui.server.error_messages import as_gradio_error
from facemotion.webui.server.middleware import GuardMiddleware
from facemotion.webui.sessions.webcam import WebcamSessions
from facemotion.webui.tabs import about as about_tab
from facemotion.webui.tabs import image as image_tab
from facemotion.webui.tabs import webcam as webcam_tab

# gradio makes event loops while it builds components, and leaves them to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

HAPPY = (0.01, 0.0, 0.01, 0.9, 0.05, 0.02, 0.01)
MIXED = (0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.2)


class FakeModel:
    """What the page asks of a detector or a classifier."""

    description = "fake (embedded, 00000000)"
    notice = None
    default_threshold = 0.6
    config: dict[str, Any] = {}


class FakePipeline:
    """Finds a large happy face, and a small one inside its box, in every picture."""

    detector = classifier = FakeModel()
    models = {"detector": "fake <detector>", "classifier": "fake classifier"}
    notices: tuple[str, ...] = ()

    def __init__(self, faces: tuple[Face, ...] | None = None) -> None:
        large = Face(1, Box(100, 100, 900, 900), 0.9, HAPPY)
        small = Face(2, Box(200, 200, 300, 300), 0.7, MIXED, True, ("small", "cut_off"))
        self.faces = (large, small) if faces is None else faces

    def analyze(self, picture: Picture, **options: Any) -> Analysis:
        height, width = picture.pixels.shape[:2]
        return Analysis(width, height, (width, height), self.faces, self.models, {"total": 12.3})


def picture(width: int = 2000, height: int = 1000) -> Picture:
    return Picture(np.zeros((height, width, 3), np.uint8), (width, height))


@pytest.fixture(scope="module")
def page() -> Iterator[gr.Blocks]:
    yield build_page(FakePipeline())  # type: ignore[arg-type]


@pytest.fixture(scope="module", autouse=True)
def no_loop_is_left_for_other_tests() -> Iterator[None]:
    yield
    asyncio.set_event_loop(None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def test_only_the_documented_endpoints_are_public(page: gr.Blocks) -> None:
    public = {function.api_name for function in page.fns.values() if function.api_visibility == "public"}
    assert public == {"analyze", "annotate", "explain", "analyze_batch", "analyze_video"}


def test_the_endpoints_need_only_the_picture(page: gr.Blocks) -> None:
    others = {"/analyze_batch": ["pictures"], "/analyze_video": ["video"]}
    for name, endpoint in page.get_api_info()["named_endpoints"].items():
        required = [p["parameter_name"] for p in endpoint["parameters"] if not p["parameter_has_default"]]
        assert required == others.get(name, ["picture"]), name


def test_the_page_has_its_tabs_in_order(page: gr.Blocks) -> None:
    assert [block.label for block in page.blocks.values() if isinstance(block, gr.Tab)] == [
        "Image",
        "Webcam",
        "Video",
        "Gallery",
        "About",
    ]


def test_uploads_are_gone_within_the_hour(page: gr.Blocks) -> None:
    every, age = page.delete_cache or (3600, 3600)
    assert every + age <= 3600


def test_the_queue_is_bounded(page: gr.Blocks) -> None:
    assert page._queue.max_size == settings.MAX_QUEUE


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("show_error", False),
        ("enable_monitoring", False),
        ("run_history", False),
        ("max_file_size", settings.MAX_VIDEO_BYTES),  # of pictures less: see test_server.py
        ("state_session_capacity", settings.MAX_SESSIONS),
        ("ssr_mode", False),
    ],
)
def test_doors_that_gradio_leaves_open_are_closed(option: str, value: Any) -> None:
    assert launch_options()[option] == value
    assert not {"allowed_paths", "share", "server_name"} & launch_options().keys()


def test_gradio_keeps_sessions_and_results_as_we_have_it(page: gr.Blocks) -> None:
    assert isinstance(page._queue.pending_messages_per_session, session_cleanup.PendingMessages)
    assert StateHolder.__getitem__ is session_cleanup.get_state


def test_every_request_comes_through_the_doors(page: gr.Blocks) -> None:
    assert [one.cls for one in launch_options()["app_kwargs"]["middleware"]] == [GuardMiddleware]
    assert page.api_open is False  # nobody passes by the queue
    assert page.analytics_enabled is False


def test_no_source_file_gets_a_stub_beside_it(root: Path) -> None:
    assert not list((root / "facemotion").rglob("*.pyi"))


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (errors.CorruptImage("It breaks off."), "corrupt", "It breaks off."),
        (errors.ModelFailure("Try again."), "model_failed", "Try again."),
        (MemoryError(), "model_failed", "Memory"),
        (InvalidPathError("Cannot move /etc/passwd"), "forbidden_source", "Upload"),
        (ZeroDivisionError("secret of /root"), "internal", "Something went wrong"),
        (gr.Error("as it is", title="own"), "own", "as it is"),
    ],
)
def test_errors_are_shown_with_code_and_sentence(error: Exception, code: str, says: str) -> None:
    shown = as_gradio_error(error)
    assert shown.title == code
    assert says in shown.message
    assert "/" not in shown.message


def test_what_gradio_says_of_a_choice_is_not_quoted() -> None:
    with pytest.raises(gr.Error) as caught:
        gr.Dropdown(["a"]).preprocess("/etc/passwd")
    shown = as_gradio_error(caught.value)
    assert (shown.title, "passwd" in shown.message) == ("bad_option", False)
    assert as_gradio_error(shown) is shown


def test_an_error_while_an_argument_is_read_keeps_its_code() -> None:
    for cause, code in ((errors.EmptyFile("Empty."), "empty"), (TypeError("float"), "bad_option")):
        wrapped = ComponentProcessingError("long text with /paths")
        wrapped.__cause__ = cause
        assert as_gradio_error(wrapped).title == code


def test_the_log_does_not_quote_what_a_visitor_sent(caplog: pytest.LogCaptureFixture) -> None:
    sent = "my-private-" + "holiday.jpg"
    try:
        raise ValueError(sent)
    except ValueError as error:
        as_gradio_error(error)
    assert "ValueError" in caplog.text
    assert "my-private-holiday" not in caplog.text


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "uploads/../../etc/passwd",
        "http://127.0.0.1/x.png",
        "https://example.org/x.png",
        "file:///etc/passwd",
        "",
        "nul\0",
        "half a character \ud800",
        pytest.param("a/" * 500_000, id="a million characters"),
    ],
)
@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_files_that_nobody_uploaded_are_refused(
    path: str, meta: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    for inputs in ([{"path": path, **meta}], [[{"path": path}]], [{"path": str(tmp_path / "a"), "b": {"path": path}}]):
        with pytest.raises(errors.ForbiddenSource):
            public_blocks.refuse_foreign_files(inputs)


def test_uploads_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    public_blocks.refuse_foreign_files(
        [{"path": str(tmp_path / "hash" / "a.jpg")}, None, 0.5, {"path": None, "url": "data:,"}]
    )


def test_arguments_left_out_take_their_defaults() -> None:
    components = [PhotoInput(), gr.Number(0.5), gr.Textbox("auto")]
    assert public_blocks.fill_defaults(components, ["a"]) == ["a", 0.5, "auto"]
    assert public_blocks.fill_defaults(components, []) == [None, 0.5, "auto"]


@pytest.mark.parametrize(
    ("x", "y", "face_id"),
    [(64 * 5, 64 * 5, 1), (64 * 2.5, 64 * 2.5, 2), (64 * 0.5, 64 * 0.5, None), (1279, 10, None)],
)
def test_a_click_finds_the_smallest_face_around_it(x: float, y: float, face_id: int | None) -> None:
    shown = image_tab.analyze_photo(FakePipeline(), picture(), 0.6, "auto")  # type: ignore[arg-type]
    assert shown.picture.shape == (640, 1280, 3)
    assert image_tab.face_at(shown, x, y) == face_id


def test_the_largest_face_is_chosen_first() -> None:
    shown = image_tab.analyze_photo(FakePipeline(), picture(), 0.6, "auto")  # type: ignore[arg-type]
    assert shown.face is not None
    assert shown.face.id == 1


def test_the_faces_cut_out_are_shown_but_not_kept() -> None:
    shown = image_tab.analyze_photo(FakePipeline(), picture(), 0.6, "auto")  # type: ignore[arg-type]
    kept = image_tab._everything(shown, True)[0]
    assert len(shown.crops) == 2
    assert kept.crops == ()
    assert kept.analysis == shown.analysis
    assert [face.shape for face in kept.grey] == [(128, 128)] * 2  # small and grey, to be explained


def test_without_faces_nothing_is_chosen() -> None:
    shown = image_tab.analyze_photo(FakePipeline(()), picture(), 0.6, "auto")  # type: ignore[arg-type]
    assert shown.face is None
    assert text_html.bars(shown.face) == text_html.table(shown.analysis) == ""
    assert "No faces found" in text_html.summary(shown.analysis)


@pytest.mark.parametrize(
    ("size", "expected"), [((1280, 720), (720, 1280)), ((4000, 3000), (960, 1280)), ((10, 500), (500, 10))]
)
def test_pictures_are_reduced_to_what_the_page_shows(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert fit_within(picture(*size).pixels, 1280).shape[:2] == expected


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.934, "93 %"), (0.001, "&lt; 1 %"), (0.999, "&gt; 99 %")],
)
def test_percent(share: float, text: str) -> None:
    assert text_html.percent(share) == text


def test_bars_name_all_seven_with_their_numbers() -> None:
    html = text_html.bars(Face(2, Box(0, 0, 9, 9), 0.7, MIXED, True, ("small",)))
    assert [html.count(f'aria-label="{name}"') for name in EMOTIONS] == [1] * 7
    assert html.count('role="meter"') == 7
    assert "30 %" in html
    assert "no expression stands out" in html
    assert "few pixels" in html


def test_the_table_marks_the_chosen_face() -> None:
    analysis = FakePipeline().analyze(picture())
    rows = text_html.table(analysis, selected=2).split("<tr")[2:]
    assert ["aria-current" in row for row in rows] == [False, True]
    assert "uncertain, small, cut off" in rows[1]


def test_downloads_hold_the_result(tmp_path: Path) -> None:
    analysis = FakePipeline().analyze(picture())
    assert json.loads(downloads.json_bytes(analysis)) == analysis.to_dict()
    assert downloads.csv_bytes(analysis).count(b"\n") == 3 and downloads.csv_bytes(analysis).startswith(b"\xef\xbb\xbf")
    assert downloads.jpeg_bytes(picture(), analysis).startswith(b"\xff\xd8\xff")


def test_about_says_what_a_label_is() -> None:
    said = " ".join(about_tab.content(FakePipeline(), FakePipeline()).split())  # type: ignore[arg-type]
    for part in ("<b>most people would name</b>", "ten voters", "forty annotators", "search words"):
        assert part in said


def test_about_states_the_terms_of_the_served_classifier_once() -> None:
    pipeline, model = FakePipeline(), FakeModel()
    terms = "For research & demonstration only."
    model.config = {"terms": terms, "data": f"RAF-DB. {terms}", "metrics": {"accuracy": 0.5}}
    pipeline.classifier = model
    shown = about_tab.content(pipeline, FakePipeline())  # type: ignore[arg-type]
    assert shown.count("For research &amp; demonstration only.") == 1 and "<p>RAF-DB.</p>" in shown
    assert "demonstration only." not in about_tab.content(FakePipeline(), FakePipeline())  # type: ignore[arg-type]


def test_about_escapes_names_and_says_what_must_be_said() -> None:
    live = FakePipeline()
    live.models = {"detector": "quick <detector>", "classifier": "fake classifier"}
    html = about_tab.content(FakePipeline(), live)  # type: ignore[arg-type]
    for part in (
        "quick &lt;detector&gt;",
        "these seven expressions",
        "fake &lt;detector&gt;",
        "Article 5(1)(f)",
        "Article 50(3)",
        "hiring",
        "Nothing is kept",
    ):
        assert part in html


def test_the_camera_is_looked_at_by_its_own_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[FakePipeline] = []
    monkeypatch.setattr(
        webcam_tab, "WebcamSessions", lambda pipeline: asked.append(pipeline) or WebcamSessions(pipeline)
    )
    photos, live = FakePipeline(), FakePipeline()
    live.models = {"detector": "quick", "classifier": "fake classifier"}
    live.notices = ("YuNet serves the camera.",)
    page = build_page(photos, live)  # type: ignore[arg-type]
    build_page(photos)  # type: ignore[arg-type]
    assert asked == [live, photos]
    shown = " ".join(str(block.value) for block in page.blocks.values() if isinstance(block, gr.HTML))
    assert "Weights: detector fake &lt;detector&gt;, for the camera quick, classifier" in shown
    assert shown.count("YuNet serves the camera.") == 1


def test_notices_are_visible_and_escaped() -> None:
    assert "you/&lt;b&gt;" in text_html.notices(("you/<b> was asked for",))
    assert text_html.notices(()) == ""
