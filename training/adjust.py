"""How far to shift a run's logits towards rare expressions: what each shift gives, on what may be chosen by.

    python -m training.adjust --weights runs/modern --data official --wild wild

FER2013 has 16 pictures of happy faces to one of disgust; real photos are not like that, and a model that has learned
the frequencies answers by them. A row of the table for each strength of `training.export.adjustment`: on the validation
split, and on the half of the real faces that recipes are chosen on, as training.wild reads them. `--adjust` of
training.export takes the one chosen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from facemotion.detectors import FaceDetector
from training import evaluate, export, metrics, wild
from training.data import load_split
from training.endings import explained

STRENGTHS = (-0.5, -0.25, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--weights", required=True, help="what to shift, as for training.evaluate")
    add("--data", type=Path, required=True, help="the data that it was trained on")
    add("--train-split", default="train", help="whose frequencies it has learned (%(default)s)")
    add("--split", default="validation", help="the part of the data to choose by (%(default)s)")
    add("--wild", type=Path, required=True, help="real faces, as for training.wild")
    add("--detector", default="default", help="whose boxes cut the real faces (%(default)s)")
    arguments = parser.parse_args()
    with explained():
        model, frequencies = evaluate.load_model(arguments.weights), load_split(arguments.data, arguments.train_split)
        split = load_split(arguments.data, arguments.split)
        faces = wild.load(arguments.wild, FaceDetector.from_pretrained(arguments.detector)).half("choose")
        judged = [(evaluate.logits_of(model.score, split.pictures), split.labels)]
        judged += [
            (evaluate.logits_of(model.score, pictures), faces.labels) for pictures in (faces.whole, faces.framed)
        ]
    print(to_markdown(judged, frequencies.labels))


def to_markdown(judged: list[tuple[metrics.Floats, metrics.Labels]], frequencies: metrics.Labels) -> str:
    """The table.

    Args:
        judged: logits [N, 7] and labels [N] of the validation split, and of the real faces whole and as framed.
        frequencies: the labels that the model has learned from.
    """
    names = ("shift", "validation", "its macro-F1", "real faces, as they are", "lowest / highest recall", "cut by box")
    lines = [f"| {' | '.join(names)} |", "|" + "---:|" * len(names)]
    for strength in STRENGTHS:
        shift = export.adjustment(frequencies, strength)
        split, whole, framed = (metrics.confusion(logits + shift, labels) for logits, labels in judged)
        recalls = [row["recall"] for row in metrics.per_class(whole).values()]
        cells = (
            _accuracy(split),
            metrics.macro_f1(split),
            _accuracy(whole),
            min(recalls) / max(*recalls, 1e-9),
            _accuracy(framed),
        )
        lines.append(f"| {strength:g} | {' | '.join(f'{cell:.3f}' for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _accuracy(counts: np.ndarray) -> float:
    return float(np.trace(counts) / counts.sum())


if __name__ == "__main__":
    main()
