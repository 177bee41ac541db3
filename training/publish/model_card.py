"""The model card of a classifier, from its config.json and templates/model_card.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.common.constants import FER2013, OWN
from training.common.markdown import table
from training.expression import networks

LICENSE = "agpl-3.0"
TAGS = ("facial-expression-recognition", "pytorch", "safetensors", "onnx")
TEMPLATES = Path(__file__).parent / "templates"

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
# Test set in config.json's "tests" -> its type and name on the Hub.
TEST_SETS = {
    "photos": ("raf-db", "RAF-DB basic"),
    "votes": ("ferplus", "FER+, clear majorities of FER2013's PrivateTest"),
    "labels": ("fer2013", "FER2013, PrivateTest, by the head of its own labels"),
    "wild": ("cut-outs", "cut-out faces labelled by search words, equally many of each expression"),
}

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


@dataclass(frozen=True)
class Onnx:
    """Parity error of model.onnx, and the number of images it was measured on."""

    parity: float
    samples: int


def render(config: Mapping[str, Any], repo: str, onnx: Onnx, figures: Sequence[str] = ()) -> str:
    """The card in Markdown, with metadata that the Hub reads.

    Args:
        config: config.json of the model; sections for which it has no data are left out.
        repo: owner/name on the Hub.
        onnx: of the export.
        figures: their paths in the repository.
    """
    metrics = config.get("metrics", {})
    fer2013 = dataset(config) == FER2013
    results = eval_results(config)
    return fill(
        "model_card.md",
        {
            "license": LICENSE,
            "pipeline_tag": "image-classification",
            "tags": [*TAGS, *([FER2013["type"]] if fer2013 else []), config["network"]],
            "model_name": repo.split("/")[1] if results else None,
            "eval_results": results or None,
        },
        name=repo.split("/")[1],
        repo=repo,
        config=config,
        size=config["input"]["size"],
        labels=", ".join(config["labels"]),
        channels=networks.input_channels(config["network"]),
        onnx=onnx,
        recipe=recipe(config),
        metrics=metrics,
        tests=tests_table(config.get("tests", {})),
        several_sources="heads" in config,
        overall=overall(metrics),
        per_class=per_class(metrics),
        confusion=confusion(metrics),
        figures=figures_section(figures),
        is_fer2013=fer2013,
    )


def fill(template: str, metadata: Mapping[str, Any], **values: Any) -> str:
    """Fill a Jinja2 template in templates/.

    Args:
        template: the file's name.
        metadata: arguments of huggingface_hub's `ModelCardData`.
        values: the variables of the template.
    """
    from huggingface_hub import ModelCard, ModelCardData  # noqa: PLC0415  (takes a second)

    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return str(ModelCard.from_template(ModelCardData(**metadata), template_str=text, **values))


def dataset(config: Mapping[str, Any]) -> dict[str, str]:
    """The data set of the metrics: `FER2013`, also where an older configuration does not say, or `OWN`."""
    return OWN if config.get("dataset") == OWN["type"] else FER2013


def eval_results(config: Mapping[str, Any]) -> list[Any]:
    """The measured figures as huggingface_hub's `EvalResult`: of test sets, and those on validation images where they
    are of one data set."""
    metrics, about, tests = config.get("metrics", {}), dataset(config), config.get("tests", {})
    split = config.get("recipe", {}).get("validation_split", "validation")
    of_tests = [
        eval_result((*TEST_SETS[name], "test"), "accuracy", "Accuracy", tests[name]["accuracy"])
        for name in TEST_SETS
        if name in tests
    ]
    of_validation = [
        eval_result((about["type"], about["name"], split), kind, with_interval(metrics, key), metrics[key])
        for key, kind in HUB_TYPES.items()
        if key in metrics and "heads" not in config
    ]
    return of_tests + of_validation


def eval_result(data: tuple[str, str, str], kind: str, name: str, value: float) -> Any:
    """One figure; `data` are type, name and split of the data set."""
    from huggingface_hub import EvalResult  # noqa: PLC0415

    return EvalResult(
        task_type="image-classification",
        task_name="Facial expression recognition",
        dataset_type=data[0],
        dataset_name=data[1],
        dataset_split=data[2],
        metric_type=kind,
        metric_name=name,
        metric_value=round(value, 4),
    )


def tests_table(tests: Mapping[str, Any]) -> str:
    """A row for each test set; empty where nothing was measured on one."""
    rows = [
        (
            name,
            f"{tests[key]['rows']:,}",
            f"{tests[key]['accuracy']:.4f}",
            "{:.4f} to {:.4f}".format(*tests[key]["interval"]),
            f"{tests[key]['mean_recall']:.4f}",
            f"{tests[key]['calibration_error']:.4f}",
        )
        for key, (_, name) in TEST_SETS.items()
        if key in tests
    ]
    head = ("test set", "images", "accuracy", "95 % interval", "mean recall", "calibration error")
    return table(head, rows, numbers_from=1) if rows else ""


def with_interval(metrics: Mapping[str, Any], key: str) -> str:
    """The figure's name, with its interval where there is one: model-index has no field for that."""
    limits = interval(metrics, key)
    return f"{SHARES[key]} (95 % interval {limits})" if limits else SHARES[key]


def recipe(config: Mapping[str, Any]) -> str:
    """A table of the knobs that are set; empty where the configuration has none."""
    if "recipe" not in config:
        return ""
    rows = [(n.replace("_", " "), f"`{value}`") for n, value in config["recipe"].items() if value not in ("", [])]
    return table(("setting", "value"), rows)


def overall(metrics: Mapping[str, Any]) -> str:
    """A table of the figures over all images."""
    rows = [(title, f"{metrics[key]:.4f}", interval(metrics, key)) for key, title in SHARES.items() if key in metrics]
    width = 3 if "intervals" in metrics else 2
    return table(("measure", "value", "95 % interval")[:width], [cells[:width] for cells in rows])


def interval(metrics: Mapping[str, Any], key: str) -> str:
    """The bootstrap interval of a figure; empty where none was computed."""
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
    return table(("", *labels), rows)


def figures_section(figures: Sequence[str], titles: Mapping[str, str] = TITLES) -> str:
    """The section of the figures: those with a title in that order, then the others."""
    if not figures:
        return ""
    names = {path: path.rpartition("/")[2].rpartition(".")[0] for path in figures}
    order = [*titles, *(name for name in names.values() if name not in titles)]
    shown = sorted(figures, key=lambda path: order.index(names[path]))
    captions = {name: titles.get(name, name.replace("_", " ").replace("-", " ")) for name in order}
    return "## Figures\n\n" + "\n".join(f"![{captions[names[path]]}]({path})\n" for path in shown)
