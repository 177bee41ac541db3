"""The whole judgement of one model in one file: the official test split, crowd labels, real faces, distortions, size.

    python -m training.expression.evaluation.test_protocol --weights emotionnet --beside simplecnn \\
        --data official --votes fer2013new.csv \\
        --wild wild --seeds runs/second/model runs/third/model --out training/reports/emotionnet.json

What is chosen, is chosen on the validation split and on one half of the real faces before this is run; the test split
and the other half are only read here. Of the models named with --beside, real faces and distortions are measured too;
the test split is not, since a model trained on the Kaggle split has seen most of it. Those named with --seeds are of
the same recipe, and show how much chance decides.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from facemotion.detectors import FaceDetector
from training.common import duplicates
from training.common.cli_errors import explained
from training.common.files import write_json
from training.expression import ablation_networks, networks
from training.expression.data.dataset import Split, load_split
from training.expression.data.ferplus import Votes, load_votes
from training.expression.data.soft_labels import majority, shares
from training.expression.evaluation import evaluate, in_the_wild, metrics, robustness


def main() -> None:
    arguments = parse_arguments()
    with explained():
        result = judge(arguments)
        write_json(arguments.out, result)
    single = result["test"]["single view"]
    print(f"wrote {arguments.out}: {single['accuracy']:.4f} on the test split, single view")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--weights", required=True, help="the model to judge, as for training.expression.evaluation.evaluate")
    add("--beside", nargs="*", default=[], help="models to measure beside it, likewise")
    add("--data", type=Path, required=True, help="the official split of FER2013")
    add("--votes", type=Path, required=True, help="FER+'s votes by row, a CSV file")
    add("--wild", type=Path, required=True, help="real faces, as for training.expression.evaluation.in_the_wild")
    add("--seeds", nargs="*", default=[], help="models of the same recipe with other seeds, likewise")
    add("--detector", default="default", help="whose boxes cut the real faces (%(default)s)")
    add("--out", type=Path, required=True, help="the JSON file to write")
    return parser.parse_args()


def judge(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything, ready for JSON.

    Raises:
        DataError: the data, the votes or a model won't do.
        WeightsError: a model cannot be had.
    """
    model = evaluate.load_model(arguments.weights)
    all_models = [model, *(evaluate.load_model(name) for name in arguments.beside)]
    votes = load_votes(arguments.votes)
    train = load_split(arguments.data, "train")
    splits = {name: load_split(arguments.data, name) for name in ("validation", "test")}
    faces = in_the_wild.load(arguments.wild, FaceDetector.from_pretrained(arguments.detector))
    return {
        "model": model.description,
        **{name: of_split(model, split, train, votes) for name, split in splits.items()},
        "wild": {
            half: [in_the_wild.judge(one, faces.half(half)) for one in tqdm(all_models, desc=half, leave=False)]
            for half in ("choose", "report")
        },
        "seeds": [
            of_seed(one, splits, faces.half("report")) for one in [model, *map(evaluate.load_model, arguments.seeds)]
        ],
        "robustness": robustness.measure(all_models, splits["validation"]),
        "networks": {name: cost(name) for name in networks.NETWORKS},
    }


def of_split(model: evaluate.Model, split: Split, train: Split, votes: Votes) -> dict[str, Any]:
    """FER2013's labels and the crowd's, in a single view and with the mirror image.

    `train` holds all rows of the training split; a recipe that leaves out what it is judged on has not learned from
    those that "not_in_train" leaves out here.
    """
    fresh = ~duplicates.stand_in(split.pictures, train.pictures)
    crowd = majority(shares(votes, split.names))
    views = {"single view": evaluate.logits_of(model.score, split.pictures)}
    mirrored = evaluate.logits_of(model.score, np.ascontiguousarray(split.pictures[:, :, ::-1]))
    views["with its mirror image"] = with_mirror(views["single view"], mirrored, model.temperature or 1.0)
    return {
        view: evaluate.judge(logits, split.labels, model.temperature, fresh) | {"crowd": agreement(logits, crowd)}
        for view, logits in views.items()
    }


def of_seed(model: evaluate.Model, splits: dict[str, Split], faces: in_the_wild.WildFaces) -> dict[str, float]:
    """Accuracy of one run of a recipe, on each split and on real faces as the detector cuts them; and the macro-F1 on
    the test split."""
    logits = {name: evaluate.logits_of(model.score, split.pictures) for name, split in splits.items()}
    accuracies = {name: metrics.accuracy(logits[name], split.labels) for name, split in splits.items()}
    test = metrics.macro_f1(metrics.confusion(logits["test"], splits["test"].labels))
    return accuracies | {"macro_f1": test, "real": in_the_wild.judge(model, faces)["framed"]["accuracy"]}


def with_mirror(logits: metrics.Floats, mirrored: metrics.Floats, temperature: float) -> metrics.Floats:
    """Logits [N, 7] of the mean of both views' probabilities."""
    mean = (metrics.softmax(logits, temperature) + metrics.softmax(mirrored, temperature)) / 2
    return np.asarray(np.log(np.maximum(mean, 1e-30)) * temperature)


def agreement(logits: metrics.Floats, crowd: metrics.Labels) -> dict[str, Any]:
    """Accuracy against what most voters saw, on the rows, int [N], where one expression led (others hold -1)."""
    led = crowd >= 0
    interval = metrics.bootstrap(logits[led], crowd[led])["accuracy"]
    return {"rows": int(led.sum()), "accuracy": metrics.accuracy(logits[led], crowd[led]), "interval": interval}


def cost(name: str) -> dict[str, int]:
    """Parameters and multiply-adds of a network."""
    network = networks.build(name)
    return {"parameters": networks.count_parameters(network), "multiply_adds": ablation_networks.multiply_adds(network)}


if __name__ == "__main__":
    main()
