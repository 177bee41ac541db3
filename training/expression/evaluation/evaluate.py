"""Scores any weights on any split, with intervals, calibration and the accuracy on pictures not seen in training.

    python -m training.expression.evaluation.evaluate --weights runs/study --data fer2013  # a run's best epoch
    # the embedded weights, to files
    python -m training.expression.evaluation.evaluate --weights simplecnn --data fer2013 --out reports
    python -m training.expression.evaluation.evaluate --weights you/facemotion@main --data official --split test
    # any function
    python -m training.expression.evaluation.evaluate --weights my_package.my_module:logits --data fer2013

A run or a function is calibrated by a temperature fitted on a fixed half of the rows; a published model brings its
own. Calibration errors, before and after, are always of the other half, all else is of all rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.common import duplicates
from training.common.cli_errors import exit_on_error
from training.common.files import write_json, write_text
from training.common.markdown import table
from training.expression.data.dataset import Split, load_split
from training.expression.data.sources import has_split
from training.expression.evaluation import metrics
from training.expression.evaluation.scorers import Model, load_model, logits_of

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.3, 0.1)


def main() -> None:
    arguments = parse_arguments()
    with exit_on_error():
        model, split = load_model(arguments.weights), load_split(arguments.data, arguments.split)
        known = known_pictures(arguments.train_data or arguments.data, arguments.train_split)
        options = {"resamples": arguments.resamples, "seed": arguments.seed}
        result = {"split": arguments.split} | evaluate(model, split, known, **options)
        print(to_markdown(result))
        if arguments.out:
            write(result, arguments.out)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--weights", required=True, help="run directory, model folder, Hub reference, a name, or module:function")
    add("--data", type=Path, required=True, help="a folder of pictures, fer2013.csv, or kaggle")
    add("--split", default="validation", help="which part of the data to score (%(default)s)")
    add("--train-data", type=Path, help="the data that the weights were trained on (default: --data)")
    add("--train-split", default="train", help="and which part of it (%(default)s)")
    add("--resamples", type=positive, default=1000, help="draws of the bootstrap (%(default)s)")
    add("--seed", type=int, default=0, help="of the bootstrap (%(default)s)")
    add("--out", type=Path, help="folder for evaluation.md and evaluation.json")
    return parser.parse_args()


def positive(text: str) -> int:
    """A whole number of 1 or more, for argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def known_pictures(data: Path, split: str) -> Split | None:
    """What the weights were trained on, or None where the data have no such part."""
    return load_split(data, split) if has_split(data, split) else None


def evaluate(
    model: Model, split: Split, known: Split | None = None, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """Evaluate a model on a split; the result is ready for JSON.

    Args:
        model: see `load_model`, or `Model("mine", any_scorer)`.
        split: what to score.
        known: what the model was trained on; rows of `split` that stand in it, pixel for pixel, are left out of
            "not_in_train", which is None without it.
        resamples: draws of the bootstrap.
        seed: of the bootstrap.

    Raises:
        DataError: the model returns something else than logits.
    """
    fresh = None if known is None else ~duplicates.exact_matches(split.pictures, known.pictures)
    logits = logits_of(model.score, split.pictures)
    return {"model": model.description} | evaluate_logits(
        logits, split.labels, model.temperature, fresh, resamples=resamples, seed=seed
    )


def evaluate_logits(
    logits: metrics.Floats,
    labels: metrics.Labels,
    temperature: float | None = None,
    fresh: NDArray[np.bool_] | None = None,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """Every number of the report.

    Args:
        logits: [N, 7].
        labels: [N].
        temperature: what divides the logits; None fits it on the first of `metrics.halves`.
        fresh: which rows are not in train, [N].
        resamples: draws of the bootstrap.
        seed: of the bootstrap.
    """
    fitted_on, reported_on = metrics.halves(len(labels))
    divisor = temperature or metrics.fit_temperature(logits[fitted_on], labels[fitted_on])
    raw, probabilities = metrics.softmax(logits), metrics.softmax(logits, divisor)
    numbers = metrics.summary(probabilities, labels)
    del numbers["ece"]  # which is of all rows, and so of those that the temperature was fitted on
    return numbers | {
        "intervals": metrics.bootstrap(probabilities, labels, resamples, seed),
        "temperature": divisor,
        "temperature_from": "half of these rows" if temperature is None else "the model",
        "ece_before_temperature": metrics.calibration_error(raw[reported_on], labels[reported_on]),
        "ece_after_temperature": metrics.calibration_error(probabilities[reported_on], labels[reported_on]),
        "coverage": covered(probabilities, labels),
        "not_in_train": None if fresh is None else unseen(probabilities, labels, fresh, resamples, seed),
    }


def covered(probabilities: metrics.Floats, labels: metrics.Labels) -> list[dict[str, float]]:
    """Accuracy on the most confident share of the rows, for the shares in `COVERAGES`."""
    curve = metrics.accuracy_by_coverage(probabilities, labels)
    return [{"coverage": c, "accuracy": float(curve[max(1, round(c * len(curve))) - 1])} for c in COVERAGES]


def unseen(
    probabilities: metrics.Floats, labels: metrics.Labels, fresh: NDArray[np.bool_], resamples: int, seed: int
) -> dict[str, Any] | None:
    """Accuracy on the rows not in train, with its interval; None when there is none."""
    if not fresh.any():
        return None
    rows, truth = probabilities[fresh], labels[fresh]
    interval = metrics.bootstrap(rows, truth, resamples, seed)["accuracy"]
    return {"rows": int(fresh.sum()), "accuracy": metrics.accuracy(rows, truth), "interval": interval}


def to_markdown(result: dict[str, Any]) -> str:
    """The result as three tables."""
    heading = f"# {result['model']}\n\nOn {result['rows']:,} pictures ({result.get('split', 'unnamed')}).\n"
    return "\n".join([heading, overall_table(result), class_table(result), coverage_table(result)])


def overall_table(result: dict[str, Any]) -> str:
    """Accuracy and its kin with their intervals, and the calibration errors."""
    intervals = result["intervals"]
    names = (("accuracy", "accuracy"), ("balanced_accuracy", "balanced accuracy"), ("macro_f1", "macro-F1"))
    rows = [(title, f"{result[name]:.3f}", between(intervals[name])) for name, title in names]
    if fresh := result["not_in_train"]:
        title = f"accuracy on the {fresh['rows']:,} not in train"
        rows.append((title, f"{fresh['accuracy']:.3f}", between(fresh["interval"])))
    rows.append(("calibration error, before temperature", f"{result['ece_before_temperature']:.3f}", ""))
    title = f"calibration error, at temperature {result['temperature']:.2f} from {result['temperature_from']}"
    rows.append((title, f"{result['ece_after_temperature']:.3f}", ""))
    return table(("measure", "value", "95 % interval"), rows, numbers_from=1)


def class_table(result: dict[str, Any]) -> str:
    """A row for each expression."""
    rows = [
        (
            *(emotion, f"{row['precision']:.3f}", f"{row['recall']:.3f}", f"{row['f1']:.3f}"),
            *(between(result["intervals"][f"f1_{emotion}"]), f"{row['support']:,}"),
        )
        for emotion, row in result["per_class"].items()
    ]
    head = ("expression", "precision", "recall", "F1", "95 % interval of F1", "images")
    return table(head, rows, numbers_from=1)


def coverage_table(result: dict[str, Any]) -> str:
    """Accuracy on the most confident shares of the images."""
    rows = [(f"{point['coverage']:.0%}", f"{point['accuracy']:.3f}") for point in result["coverage"]]
    return table(("most confident", "accuracy"), rows, numbers_from=0)


def between(interval: list[float]) -> str:
    """`.641 to .662`, as text."""
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def write(result: dict[str, Any], out: Path) -> None:
    """Writes evaluation.md and evaluation.json."""
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "evaluation.md", to_markdown(result))
    write_json(out / "evaluation.json", result)


if __name__ == "__main__":
    main()
