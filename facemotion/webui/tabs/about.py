"""The About tab: models in use, measured quality, and what the labels do not mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from facemotion.faces import EMOTIONS
from facemotion.pipeline import Pipeline
from facemotion.webui.html import text

_MEANING = """
<h2>What the labels mean, and what they do not</h2>
<p>The label is the expression that <b>most people would name</b>: angry, disgust, fear, happy, neutral, sad or
surprise. For the default classifier, consensus labels decide what is chosen and shown: the votes of FER+, ten
voters for each image, and the labels of RAF-DB, about forty annotators for each photo. FER2013's own labels come from
search words; they help to train
the layers that all heads share, but their own head, the benchmark of the original study, gives no answers here.</p>
<p>A label says nothing about what a person feels, thinks, intends or is like. People smile without joy and are sad
without showing it; how feelings are shown differs between persons, situations and cultures, and a single picture holds
none of that.</p>
<p>The seven numbers are probabilities over these seven expressions only. “Uncertain” marks a face for which no
expression stands out clearly: do not rely on it.</p>
"""
_LIMITS = """
<h2>Limits</h2>
<ul>
<li>People often disagree on the expression of a face, also in the training photos.</li>
<li>Fear and disgust are rare in the training photos; the table shows what is taken for what.</li>
<li>Faces seen from the side, covered, upside down, or of less than about 30 pixels are often missed or misread.</li>
<li>The photos were collected by web searches, and nobody made sure that all ages, skin tones and cultures are
represented equally. Expect error rates that differ between groups of people.</li>
</ul>
"""
_PRIVACY = """
<h2>Nothing is kept</h2>
<p>Pictures are analysed on the machine that serves this page and are sent nowhere else. What is uploaded,
and what is made of it, lies in a temporary folder and is deleted within the hour. Nothing is logged about it, nobody
is recognised, and no picture is used for training.</p>
"""
_RESPONSIBLE = """
<h2>Responsible use</h2>
<p>This is a demonstration. Never use it to judge persons: not in hiring or at work, not in schools, not in policing,
not for insurance, credit, health or border decisions.</p>
<ul>
<li>In the European Union, systems that infer emotions of natural persons at the workplace and in education are
prohibited, except for medical or safety reasons: AI Act, Regulation (EU) 2024/1689, Article 5(1)(f).</li>
<li>Where such a system is allowed, the persons exposed to it must be informed that it operates: Article 50(3).</li>
<li>Ask people before you analyse their pictures, and point a camera at others only with their consent.</li>
</ul>
"""

_TEST_SETS = {
    "photos": "Photos whose label about forty people agreed on (RAF-DB's test part)",
    "votes": "Small grey photos on which most people who named one of the seven agreed (FER+, FER2013's private test)",
    "wild": "Cut-out faces labelled by search words, equally many of each expression",
}
_HALF = " Measured on the half of these faces that the calibration was not fitted on"


def build(pipeline: Pipeline, live: Pipeline) -> None:
    """Lays the tab out, inside the current `gr.Tab`."""
    gr.HTML(f'<article class="fm-prose">{content(pipeline, live)}</article>')


def content(pipeline: Pipeline, live: Pipeline) -> str:
    """The text as HTML; figures come from the config published with the weights."""
    config = pipeline.classifier.config
    models = pipeline.models | {"detector for the camera": live.models["detector"]}
    return _weights(models, _terms(config)) + measured(config) + _MEANING + _LIMITS + _PRIVACY + _RESPONSIBLE


def _weights(models: Mapping[str, str], terms: str) -> str:
    items = "".join(f"<li>{part}: {escape(name)}</li>" for part, name in models.items())
    return f"<h2>Which weights run here</h2><ul>{items}</ul>" + (f"<p>{escape(terms)}</p>" if terms else "")


def _terms(config: Mapping[str, Any]) -> str:
    """Terms of use that the training data impose on the weights; "" where there are none."""
    return str(config.get("terms") or "")


def measured(config: Mapping[str, Any]) -> str:
    """Measured quality of the classifier with its confusion matrix; a note when none was published."""
    metrics, tests = config.get("metrics") or {}, config.get("tests") or {}
    described = str(config.get("data") or "")
    if terms := _terms(config):
        described = described.replace(terms, "").strip()  # already shown beside the names of the weights
    data = f"<p>{escape(described)}</p>" if described else ""
    lines = "".join(f"<li>{line}</li>" for line in [*_tests(tests), *_figures(metrics, "heads" in config)])
    if not lines:
        return f"<h2>How good it is</h2><p>No measurements were published with these weights.</p>{data}"
    return f"<h2>How good it is</h2>{data}<ul>{lines}</ul>{_matrix_of(tests, metrics)}"


def _tests(tests: Mapping[str, Any]) -> list[str]:
    """A line for each test set, photos first: nothing was trained or fitted on these."""
    lines = []
    for name, title in _TEST_SETS.items():
        if numbers := tests.get(name):
            low, high = (f"{100 * end:.1f}" for end in numbers["interval"])
            lines.append(
                f"{title}: <b>{numbers['accuracy'] * 100:.1f} %</b> right ({low} to {high} %) of {numbers['rows']:,}."
            )
    return lines


def _figures(metrics: Mapping[str, Any], several_sources: bool) -> list[str]:
    """A line for each figure of the validation images, by which the epoch was chosen."""
    half = _HALF + ("; each source of images counts alike." if several_sources else ".")

    def share(name: str) -> str:
        return f"<b>{metrics[name] * 100:.1f} %</b>"

    lines = []
    if "accuracy" in metrics:
        lines.append(
            f"Validation images, by which the best epoch was chosen: {share('accuracy')} right.{_rows(metrics)}"
        )
    if "accuracy_not_in_train" in metrics:
        lines.append(
            f"Accuracy on those that do not also stand in the training data: {share('accuracy_not_in_train')}."
        )
    if "macro_f1" in metrics:
        lines.append(f"Macro-F1, the mean over the seven expressions, rare ones counting in full: {share('macro_f1')}.")
    if "ece" in metrics:
        lines.append(
            f"Expected calibration error: {share('ece')}, the mean gap between confidence and being right.{half}"
        )
    if "coverage" in metrics and "accuracy_when_certain" in metrics:
        certain, coverage = share("accuracy_when_certain"), share("coverage")
        lines.append(f"Accuracy where the answer is not uncertain: {certain}; that is {coverage} of the faces.{half}")
    return lines


def _rows(metrics: Mapping[str, Any]) -> str:
    return f" {metrics['rows']:,} faces were judged." if "rows" in metrics else ""


def _matrix_of(tests: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """The matrix of the test photos, or of the validation images where none were tested."""
    images, figures = (_TEST_SETS["photos"], tests["photos"]) if tests.get("photos") else ("Validation images", metrics)
    counts = figures.get("confusion")
    if not counts or {len(counts), *map(len, counts)} != {len(EMOTIONS)}:
        return ""
    return matrix(counts, images)


def matrix(counts: Sequence[Sequence[int]], images: str) -> str:
    """HTML table of the confusion matrix in percent of the row: rows are the images' labels, columns predictions.

    Args:
        counts: 7 x 7, in the order of `EMOTIONS`.
        images: which were counted.
    """
    heads = "".join(f'<th scope="col">{name}</th>' for name in EMOTIONS)
    body = "".join(_matrix_row(name, row) for name, row in zip(EMOTIONS, counts, strict=True))
    caption = f"{images}. Row: the image's label. Column: what the model says. Percent of the row."
    return (
        f'<div class="fm-scroll"><table class="fm-matrix"><caption>{caption}</caption>'
        f'<thead><tr><td aria-hidden="true"></td>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def _matrix_row(name: str, row: Sequence[int]) -> str:
    total = max(1, sum(row))
    cells = "".join(_cell(count / total) for count in row)
    return f'<tr><th scope="row">{text.swatch(name)}{name}</th>{cells}</tr>'


def _cell(share: float) -> str:
    """A tint of the accent; the style sheet mixes it with the page's background, in light and dark mode alike."""
    return f'<td style="--share:{share * 100:.0f}%">{share * 100:.0f}</td>'
