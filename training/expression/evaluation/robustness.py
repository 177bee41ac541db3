"""Measures the accuracy lost to each corruption: shifted box, low resolution, blur, noise, light, occlusion.

    python -m training.expression.evaluation.robustness --weights emotionnet simplecnn --data official \\
        --out reports/robustness.json

The distortions and their three strengths are those of training/expression/data/corruptions.py. Each picture of the
split is distorted once by a random generator of its own, the same for every model. A loss of more than 5 points at the
mild strength is a defect.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from training.common.cli_errors import exit_on_error
from training.common.files import write_json
from training.common.markdown import table
from training.expression.data import corruptions
from training.expression.data.dataset import Split, limited, load_split
from training.expression.evaluation import scorers

DEFECT = 0.05  # of accuracy, lost at the mild strength
SEED = 7  # of the distortions; each picture adds its row


def main() -> None:
    arguments = parse_arguments()
    with exit_on_error():
        split = limited(load_split(arguments.data, arguments.split), arguments.limit, SEED)
        models = [scorers.load_model(weights) for weights in arguments.weights]
        result = measure(models, split) | {"split": arguments.split}
        print(to_markdown(result))
        if arguments.out:
            write_json(arguments.out, result)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add(
        "--weights", nargs="+", required=True, help="what to score, each as for training.expression.evaluation.evaluate"
    )
    add("--data", type=Path, required=True, help="a folder of pictures, fer2013.csv, or kaggle")
    add("--split", default="validation", help="which part of the data to distort (%(default)s)")
    add("--limit", type=int, default=0, help="pictures to use, drawn at random; 0 takes all")
    add("--out", type=Path, help="a JSON file to write")
    return parser.parse_args()


def measure(models: Sequence[scorers.Model], split: Split) -> dict[str, Any]:
    """Accuracies, ready for JSON: for each model by its description "clean", and for each distortion one number a
    strength, mild first."""
    accuracies: dict[str, dict[str, Any]] = {
        model.description: {"clean": _accuracy(model, split.pictures, split.labels), "distorted": {}}
        for model in models
    }
    for name, strengths in tqdm(corruptions.STRENGTHS.items(), desc="distortions", leave=False):
        for distortion in strengths:
            pictures = distorted(split.pictures, distortion)
            for model in models:
                row = accuracies[model.description]["distorted"].setdefault(name, [])
                row.append(_accuracy(model, pictures, split.labels))
    return {"rows": len(split), "models": accuracies}


def distorted(pictures: NDArray[np.uint8], distortion: corruptions.Distortion) -> NDArray[np.uint8]:
    """Every picture, uint8 [N, S, S], distorted by a generator of its own."""
    return np.stack([distortion(p, np.random.default_rng((SEED, row))) for row, p in enumerate(pictures)])


def defects(result: dict[str, Any]) -> dict[str, list[str]]:
    """For each model the distortions that cost more than `DEFECT` at the mild strength."""
    return {
        name: [kind for kind, (mild, *_) in model["distorted"].items() if model["clean"] - mild > DEFECT]
        for name, model in result["models"].items()
    }


def to_markdown(result: dict[str, Any]) -> str:
    """A row for each distortion, for each model its accuracy at the three strengths."""
    models = result["models"]
    rows = [("uncorrupted", *(f"{model['clean']:.3f}" for model in models.values()))]
    for kind in next(iter(models.values()))["distorted"]:
        rows.append((kind, *(" / ".join(f"{value:.3f}" for value in m["distorted"][kind]) for m in models.values())))
    verdicts = [
        f"{name}: {', '.join(kinds) or 'none'} cost{'' if len(kinds) > 1 else 's'} more than {100 * DEFECT:.0f} points "
        "at the mild strength."
        for name, kinds in defects(result).items()
    ]
    head = (f"accuracy on {result['rows']:,} images", *models)
    return "\n".join([table(head, rows, numbers_from=1), *verdicts]) + "\n"


def _accuracy(model: scorers.Model, pictures: NDArray[np.uint8], labels: NDArray[np.int64]) -> float:
    return float((scorers.logits_of(model.score, pictures).argmax(1) == labels).mean())


if __name__ == "__main__":
    main()
