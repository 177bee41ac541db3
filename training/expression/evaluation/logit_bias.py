"""Seven numbers to add to a run's logits, one for each expression, fitted on real faces.

    python -m training.expression.evaluation.logit_bias --weights runs/modern --data official --wild wild \\
        --out adjustment.json

A model answers by the frequencies that it has learned, and FER2013 has 16 happy faces to one of disgust; its crowd of
voters, besides, calls neutral what it cannot tell. Real photos are not like that. The numbers minimise the cross
entropy on the half of the real faces that recipes are chosen on, cut by the detector, with a pull towards 0 (the bias
of bias-corrected temperature scaling: Alexandari et al., "Maximum Likelihood with Bias-Corrected Calibration is
Hard-To-Beat at Label Shift Adaptation", 2020). A row of the table for each strength of the pull: what the numbers give
in five-fold cross-validation on these faces, and on the validation split, which had no part in the fit. --pull names
the row that is written to --out, for `training.expression.export --adjust`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facemotion.detectors import FaceDetector
from facemotion.faces import EMOTIONS
from training.common.cli_errors import explained
from training.common.files import write_json
from training.expression.data.dataset import load_split
from training.expression.evaluation import evaluate, in_the_wild, metrics

PULLS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
FOLDS = 5

Biases = NDArray[np.float32]


def main() -> None:
    arguments = parse_arguments()
    with explained():
        model, split = evaluate.load_model(arguments.weights), load_split(arguments.data, arguments.split)
        faces = in_the_wild.load(arguments.wild, FaceDetector.from_pretrained(arguments.detector)).half("choose")
        real = evaluate.logits_of(model.score, faces.framed[faces.found]), faces.labels[faces.found]
        judged = evaluate.logits_of(model.score, split.pictures), split.labels
        print(to_markdown(real, judged))
        if arguments.out:
            write_json(arguments.out, chosen(real, arguments.pull))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--weights", required=True, help="what to shift, as for training.expression.evaluation.evaluate")
    add("--data", type=Path, required=True, help="the data that it was trained on")
    add("--split", default="validation", help="the part of the data to judge on (%(default)s)")
    add("--wild", type=Path, required=True, help="real faces, as for training.expression.evaluation.in_the_wild")
    add("--detector", default="default", help="whose boxes cut the real faces (%(default)s)")
    add("--pull", type=float, default=0.1, help="how strongly the numbers are pulled towards 0 (%(default)s)")
    add("--out", type=Path, help="the JSON file to write")
    return parser.parse_args()


def chosen(real: tuple[metrics.Floats, metrics.Labels], pull: float) -> dict[str, Any]:
    """The biases of one pull, fitted on all the faces, ready for JSON."""
    biases = fit(*real, pull)
    return {
        "biases": {emotion: round(float(bias), 4) for emotion, bias in zip(EMOTIONS, biases, strict=True)},
        "pull": pull,
        "fitted_on": len(real[1]),
    }


def fit(logits: metrics.Floats, labels: metrics.Labels, pull: float) -> Biases:
    """The biases float32 [7] of the smallest cross entropy plus `pull` / 2 times the sum of their squares.

    Args:
        logits: [N, 7].
        labels: int [N].
        pull: 0 or more.
    """
    given, truth = torch.from_numpy(logits).double(), torch.from_numpy(labels)
    biases = torch.zeros(logits.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([biases], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = torch.nn.functional.cross_entropy(given + biases, truth) + pull / 2 * biases.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = biases.detach()
    return np.asarray((found - found.mean()).numpy(), np.float32)  # the same to all classes changes no answer


def cross_validated(logits: metrics.Floats, labels: metrics.Labels, pull: float) -> metrics.Floats:
    """Logits [N, 7], each row shifted by biases that were fitted on the other folds."""
    folds = np.random.default_rng(0).permutation(len(labels)) % FOLDS
    shifted = np.empty_like(logits)
    for fold in range(FOLDS):
        inside = folds == fold
        shifted[inside] = logits[inside] + fit(logits[~inside], labels[~inside], pull)
    return shifted


def to_markdown(real: tuple[metrics.Floats, metrics.Labels], judged: tuple[metrics.Floats, metrics.Labels]) -> str:
    """The table: logits [N, 7] and labels [N] of real faces to fit on, and of the validation split."""
    names = ("pull", *EMOTIONS, "real faces, cross-validated", "lowest / highest recall", "validation", "its macro-F1")
    lines = [f"| {' | '.join(names)} |", "|" + "---:|" * len(names)]
    zero = np.zeros(real[0].shape[1], np.float32)
    rows = [("none", zero, real[0])]
    rows += [(f"{pull:g}", fit(*real, pull), cross_validated(*real, pull)) for pull in PULLS]
    for name, biases, shifted in rows:
        moved = judged[0] + biases
        cells = (
            metrics.accuracy(shifted, real[1]),
            metrics.lowest_recall_of_highest(metrics.confusion(shifted, real[1])),
            metrics.accuracy(moved, judged[1]),
            metrics.macro_f1(metrics.confusion(moved, judged[1])),
        )
        numbers = [*(f"{bias:.2f}" for bias in biases), *(f"{cell:.3f}" for cell in cells)]
        lines.append(f"| {name} | {' | '.join(numbers)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
