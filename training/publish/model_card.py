"""config.json -> the model card, README.md of the repository on the Hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from training.common.constants import FER2013, OWN
from training.common.markdown import table
from training.expression import networks

LICENSE = "agpl-3.0"

# Key in config.json's metrics -> how the card names it.
SHARES = {
    "accuracy": "Accuracy",
    "accuracy_not_in_train": "Accuracy on the pictures that do not also stand in the training folder",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "accuracy_when_certain": "Accuracy where it is not called uncertain",
    "coverage": "Share of faces that are not called uncertain",
    "ece": "Calibration error (ECE)",
    "ece_before_temperature": "Calibration error before the temperature",
}
HUB_TYPES = {"accuracy": "accuracy", "balanced_accuracy": "balanced_accuracy", "macro_f1": "f1"}

# The figures of a run, in the order in which they are shown: name -> what it shows.
TITLES = {
    "first_last": "The confusion matrices of the first and the last epoch",
    "curves": "Loss and accuracy after each epoch",
    "confusion": "The confusion matrix from epoch to epoch",
    "classes": "Precision, recall and F1 of each expression",
    "reliability": "How often the network is right when it says how sure it is",
    "coverage": "Accuracy when only the surest answers count",
    "mistakes": "The most confident mistakes",
    "distribution": "Pictures per expression and split",
    "samples": "Random pictures of each expression",
    "equal": "Equal pictures with different labels",
    "near": "Nearly equal pictures",
    "chain": "A photo, the faces found in it, and the expression that each shows",
}

# As training/expression/export.py chooses and judges.
HALVES = (
    'Calibration errors, and what concerns "uncertain", are of the half of them on which neither the temperature nor '
    "the thresholds were chosen."
)
# As training/expression/evaluation/metrics.py draws them.
INTERVALS = (
    "The intervals are from a bootstrap over the pictures: other pictures of the same kind would give figures in them. "
    "How much another seed of the training would change them, they do not say."
)

USE = """\
## Use

Faces in, probabilities out, with the [facemotion](#what-it-is) package:

```python
from facemotion import Pipeline

pipeline = Pipeline.from_pretrained(classifier="{repo}")
for face in pipeline.analyze("photo.jpg").faces:
    print(face.expression, face.confidence, face.box)
```

Write `{repo}@<revision>#<sha256 of model.safetensors>` to pin it, or set `FACEMOTION_WEIGHTS` to that for the page
and the API.
"""

ONNX = """\
`model.onnx` needs no PyTorch. Its input `images` is float32 [N, {channels}, {size}, {size}]: each face, reduced to
{size} x {size}, divided by 255, minus {mean}, divided by {std}; its colours: {colours}. Its output
`probabilities` is float32 [N, 7], calibrated, in the order {labels}. On {samples} fixed pictures ONNX Runtime and
PyTorch differ by {parity:.1e} at most.
"""

# By the kind of the data: what limits a model trained on them, and what their rights are.
BIAS = {
    "fer2013": """\
- FER2013's pictures are small, grey, and gathered by a web search. Its labels say what one person judging the picture
  saw; many are disputed, equal pictures carry different labels, and some pictures show no face.
- Its faces are no fair sample of ages, skin colours and cultures, and nobody recorded which they are: expect errors
  that differ between groups of people, which the figures above cannot show.
- Disgust is rare in the data. The table above tells how each expression fares; do not read one figure for all.
""",
    "own": """\
- It was trained on pictures of its publisher's own. Whom they show, and who labelled them, decides where it errs, and
  this card knows neither: expect errors that differ between groups of people, which the figures above cannot show.
- The table above tells how each expression fares; do not read one figure for all.
""",
}
RIGHTS = {
    "fer2013": """\
The pictures of FER2013 were gathered by a web search and their rights
were not cleared one by one: it is research data, and none of it is in this repository. The weights are published for
research and demonstration. I. Goodfellow et al., "Challenges in Representation Learning: A report on three machine
learning contests", arXiv:1307.0414.""",
    "own": """\
The pictures it was trained on are not in this repository; of the rights
in them only its publisher can tell.""",
}

LIMITS = """\
## Limits and bias

- It reads the expression that a face shows in one picture. It does not know what a person feels.
{bias}- Profiles, masks, hands before the face, strong shadows and faces of a few pixels are read badly.
- The epoch was chosen, and is judged, on the same validation pictures, as in the study: that flatters it a little.
  Pictures that also stand in the training folder flatter it too; the table says how much.

## Responsible use

- Do not use it to judge people: not for hiring, school, policing, insurance, credit or lie detection.
- In the European Union, systems that infer emotions at work and in education are prohibited, except for medical or
  safety reasons (AI Act, article 5(1)(f)), and people must be told when such a system is used on them (article
  50(3)).
- Ask before you analyse someone's photo.

## Licence

AGPL-3.0, like the program that trained it. {rights}
"""


@dataclass(frozen=True)
class Onnx:
    """What the card says of model.onnx: its parity error, and on how many pictures it was measured."""

    parity: float
    samples: int


def render(config: Mapping[str, Any], repo: str, onnx: Onnx, figures: Sequence[str] = ()) -> str:
    """The card in Markdown, with metadata that the Hub reads.

    Args:
        config: config.json of the model; what it does not hold is left out.
        repo: owner/name on the Hub.
        onnx: of the export.
        figures: their paths in the repository.
    """
    kind = dataset(config)["type"]
    parts = [
        front_matter(config, repo),
        f"# {repo.split('/')[1]}\n",
        what_it_is(config),
        USE.format(repo=repo),
        about_onnx(config, onnx),
        data(config),
        recipe(config),
        results(config["metrics"]) if "metrics" in config else "",
        show(figures),
        LIMITS.format(bias=BIAS[kind], rights=RIGHTS[kind]),
    ]
    return "\n".join(part for part in parts if part)


def front_matter(config: Mapping[str, Any], repo: str) -> str:
    """The YAML on top: licence, tags, and the results as the Hub's model-index."""
    kind = [FER2013["type"]] if dataset(config) == FER2013 else []
    content: dict[str, Any] = {
        "license": LICENSE,
        "pipeline_tag": "image-classification",
        "tags": ["facial-expression-recognition", *kind, "pytorch", "safetensors", "onnx", config["network"]],
    }
    if metrics := hub_metrics(config.get("metrics", {})):
        task = {"type": "image-classification", "name": "Facial expression recognition"}
        split = config.get("recipe", {}).get("validation_split", "validation")
        result = {"task": task, "dataset": dataset(config) | {"split": split}, "metrics": metrics}
        content["model-index"] = [{"name": repo.split("/")[1], "results": [result]}]
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True)}---\n"


def dataset(config: Mapping[str, Any]) -> dict[str, str]:
    """What the model was judged on: `FER2013`, also where an older configuration does not say, or `OWN`."""
    return OWN if config.get("dataset") == OWN["type"] else FER2013


def hub_metrics(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"type": kind, "name": with_interval(metrics, key), "value": round(metrics[key], 4)}
        for key, kind in HUB_TYPES.items()
        if key in metrics
    ]


def with_interval(metrics: Mapping[str, Any], key: str) -> str:
    """The figure's name, with its interval where there is one: model-index has no field for that."""
    limits = interval(metrics, key)
    return f"{SHARES[key]} (95 % interval {limits})" if limits else SHARES[key]


def what_it_is(config: Mapping[str, Any]) -> str:
    labels = ", ".join(config["labels"])
    size = config["input"]["size"]
    return (
        "## What it is\n\n"
        f"A classifier of facial expressions (`{config['network']}`). In: the crop of a face, reduced to {size} x "
        f"{size} grey pixels. Out: the probabilities of seven expressions, {labels}, calibrated by a temperature of "
        f"{config['temperature']}. It was made by facemotion, a program that finds faces in pictures and says which "
        "expression each one shows.\n\n"
        "`model.safetensors` holds the weights, `config.json` everything else that is needed to run them.\n"
    )


def about_onnx(config: Mapping[str, Any], onnx: Onnx) -> str:
    return ONNX.format(
        size=config["input"]["size"],
        labels=", ".join(config["labels"]),
        parity=onnx.parity,
        samples=onnx.samples,
        channels=networks.input_channels(config["network"]),
        colours=config["input"].get("colours", "grey"),
        **config["normalisation"],
    )


def data(config: Mapping[str, Any]) -> str:
    return f"## Data\n\n{config['data']}\n" if "data" in config else ""


def recipe(config: Mapping[str, Any]) -> str:
    if "recipe" not in config:
        return ""
    rows = [(n.replace("_", " "), f"`{value}`") for n, value in config["recipe"].items() if value not in ("", [])]
    return f"## Recipe\n\n{table(('setting', 'value'), rows)}"


def results(metrics: Mapping[str, Any]) -> str:
    """Tables of the figures, of each expression, and of what was taken for what."""
    rows = [(title, f"{metrics[key]:.4f}", interval(metrics, key)) for key, title in SHARES.items() if key in metrics]
    width = 3 if "intervals" in metrics else 2
    overall = table(("measure", "value", "95 % interval")[:width], [cells[:width] for cells in rows])
    about = [f"On {metrics['rows']:,} pictures. {HALVES}"] if "rows" in metrics else []
    about += [INTERVALS] if "intervals" in metrics else []
    heading = "## Results\n\n" + (f"{' '.join(about)}\n\n" if about else "")
    return heading + "\n".join(part for part in (overall, per_class(metrics), confusion(metrics)) if part)


def interval(metrics: Mapping[str, Any], key: str) -> str:
    """The bootstrap interval of a figure, or nothing where none was computed."""
    if key not in metrics.get("intervals", {}):
        return ""
    low, high = metrics["intervals"][key]
    return f"{low:.4f} to {high:.4f}"


def per_class(metrics: Mapping[str, Any]) -> str:
    if "per_class" not in metrics:
        return ""
    rows = [
        (name, *(f"{row[key]:.3f}" for key in ("precision", "recall", "f1")), f"{row['support']:,}")
        for name, row in metrics["per_class"].items()
    ]
    head = ["expression", "precision", "recall", "F1", "pictures"]
    if "intervals" in metrics:
        head.append("95 % interval of F1")
        rows = [(*row, interval(metrics, f"f1_{row[0]}")) for row in rows]
    return table(head, rows)


def confusion(metrics: Mapping[str, Any]) -> str:
    if "confusion" not in metrics or "per_class" not in metrics:
        return ""
    labels = list(metrics["per_class"])
    rows = [(label, *map(str, counts)) for label, counts in zip(labels, metrics["confusion"], strict=True)]
    return f"A row for each true expression, a column for each answer:\n\n{table(('', *labels), rows)}"


def show(figures: Sequence[str], titles: Mapping[str, str] = TITLES) -> str:
    """The section of the figures: those that have a title in its order, and then the others."""
    if not figures:
        return ""
    names = {path: path.rpartition("/")[2].rpartition(".")[0] for path in figures}
    order = [*titles, *(name for name in names.values() if name not in titles)]
    shown = sorted(figures, key=lambda path: order.index(names[path]))
    captions = {name: titles.get(name, name.replace("_", " ").replace("-", " ")) for name in order}
    return "## Figures\n\n" + "\n".join(f"![{captions[names[path]]}]({path})\n" for path in shown)
