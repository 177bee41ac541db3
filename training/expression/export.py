"""Exports a finished run to the folder that `facemotion` loads: model.safetensors and config.json.

    python -m training.expression.export --run runs/study --data fer2013 --out facemotion/assets/simplecnn
    python -m training.expression.export --run runs/modern --data official rafdb --votes fer2013new.csv --out model

`training.expression.fitting` fits the temperature, the thresholds of "uncertain" and the weights of several heads on
validation images.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from facemotion.expression import onnx_network
from facemotion.expression.classifier import CONFIG_FILE, WEIGHTS_FILE, both_views
from facemotion.faces import EMOTIONS
from training.common.cli_errors import exit_on_error
from training.common.constants import FER2013, OWN, RAF_DB
from training.common.errors import DataError
from training.common.files import update_checksums, write_json
from training.common.knobs import current_names
from training.expression import fitting, networks
from training.expression.config import FORMER, Config
from training.expression.data import mixture
from training.expression.data.dataset import Split, limited, load_split
from training.expression.data.sources import KNOWN_SPLITS, is_raf_db, terms_of_data
from training.expression.evaluation import metrics
from training.expression.inference import not_learned, predict, to_device
from training.expression.networks import HEADS

# One of `training.expression.data.dataset.DROPS` -> what is not there.
LEFT_OUT = {
    "duplicates": "further copies of equal pictures",
    "conflicts": "equal pictures under different labels",
    "blank": "blank pictures",
    "not_a_face": "those that all voters called not a face",
    "other_splits": "those that resemble pictures of another split",
}
SERVED_AT_ONCE = 256  # pictures
# Lead of the top probability below which a face is also classified mirrored: two in five validation images. It raises
# EmotionNet's accuracy on the validation images by 0.7 points; mirroring every image would raise it by 0.8.
MIRRORED_BELOW = 0.6
FULL_BYTES = 10e6  # weights that take less as float32 are published so, larger ones as float16
MAX_RUN_ERROR = 0.05  # of a probability: runs on processors with bfloat16 units recorded answers in bfloat16
# Likewise, between PyTorch with the run's weights and what serves the published ones.
MAX_PARITY_ERRORS = {torch.float32: 1e-3, torch.float16: 0.02}


def main() -> None:
    arguments = parse_arguments()
    with exit_on_error():
        data, *photos = arguments.data
        config = export(arguments.run, data, arguments.out, photos, arguments.votes)
    print(json.dumps({k: v for k, v in config["metrics"].items() if not isinstance(v, (dict, list))}, indent=2))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a run directory of training.expression.train")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="what the run was trained on")
    parser.add_argument("--votes", type=Path, help="FER+'s votes, where the run learned from them")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    return parser.parse_args()


def export(run: Path, data: Path, out: Path, photos: Sequence[Path] = (), votes: Path | None = None) -> dict[str, Any]:
    """Writes the model folder and returns its configuration.

    Args:
        run: a run directory.
        data: what it was trained on.
        out: the folder to write.
        photos: trees of photos that it was trained on too.
        votes: FER+'s file, where the run learned from it.

    Raises:
        DataError: the data or the run won't do, the network was only tried, or what is published would answer otherwise
            than the run's network, by more than `MAX_PARITY_ERRORS`.
    """
    if not (run / "best.pt").is_file():
        raise DataError(
            f"{run} holds no best.pt: it is no run directory of training.expression.train with an epoch in it"
        )
    recipe = current_names(json.loads((run / "config.json").read_text()), FORMER)
    terms = recipe.pop("terms", "") or " ".join(terms_of_data([data, *photos]))  # runs up to 0.1 did not record them
    saved = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    config = Config.of_run(run)
    if config.network not in networks.NETWORKS:
        raise DataError(f"{config.network} was only tried; what can be served is {', '.join(networks.NETWORKS)}")
    if votes:
        config = dataclasses.replace(config, votes=str(votes))
    known, validation = load_split(data, config.train_split), load_split(data, config.validation_split)
    origin = KNOWN_SPLITS.get((len(known), len(validation)))
    parts = mixture.validation_parts(validation, photos, config)
    split = limited(mixture.validation_split(parts, config), config.limit, config.seed)
    check_run(run, config, saved, split)
    sources = fitting.sources_of_rows([len(part) for part in parts], len(split))
    trained = mixed_heads(config, saved["network"], split, sources)
    numbers = storage_dtype(trained)
    tensors = cast_tensors(trained, numbers)
    logits = served_logits(config, tensors, split)
    parity = max_difference(logits, logits_of(config, trained, split))
    if parity > MAX_PARITY_ERRORS[numbers]:
        raise DataError(f"publishing changes a probability by {parity:.1e}, more than {MAX_PARITY_ERRORS[numbers]}")
    logits = served_logits(config, tensors, split, MIRRORED_BELOW)
    apart = "other_splits" in config.drop  # then no validation picture was learned from
    fresh = np.zeros(0, bool) if apart else not_learned(split.pictures, known.pictures)
    figures = fitting.calibrate_and_measure(logits, split.labels, sources, fresh)
    temperature, thresholds = figures.pop("temperature"), figures.pop("uncertain")
    content = {
        "network": config.network,
        "labels": list(EMOTIONS),
        "input": {"size": split.pictures.shape[1], "colours": colours(config.network)},
        "normalisation": {"mean": config.mean, "std": config.std},
        "temperature": temperature,
        "uncertain": thresholds,
        "mirrored_below": MIRRORED_BELOW,
        "metrics": figures | {"epoch": saved["epoch"], "parity": parity},
        "data": f"{describe_data(config, trained_on(run, known), len(split), origin, photos)} {terms}".rstrip(),
        "dataset": (FER2013 if origin else OWN)["type"],
        **({"heads": weights_of_heads(trained)} if "mix" in trained else {}),
        **({"terms": terms} if terms else {}),
        "recipe": recipe | {"epochs_run": epochs_run(run)},
    }
    out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, out / WEIGHTS_FILE)
    write_json(out / CONFIG_FILE, content)
    update_checksums(out.parent)
    return content


def check_run(run: Path, config: Config, saved: dict[str, Any], split: Split) -> None:
    """Raises:
    DataError: the kept weights answer otherwise than the run recorded.
    """
    found, recorded = logits_of(config, saved["network"], split), recorded_logits(run, saved["epoch"])
    if len(found) != len(recorded):
        raise DataError(
            f"the run was validated on {len(recorded):,} pictures, not on these {len(found):,}: name its --data"
        )
    if max_difference(found, recorded) > MAX_RUN_ERROR:
        raise DataError(f"{run / 'best.pt'} answers otherwise than the run recorded of epoch {saved['epoch']}")


def mixed_heads(
    config: Config, tensors: dict[str, torch.Tensor], split: Split, sources: np.ndarray
) -> dict[str, torch.Tensor]:
    """The tensors with the heads' weights fitted on a fixed half of the validation rows, if there are several heads.

    `sources` are the numbers of the rows' sources, which count alike.
    """
    if "mix" not in tensors:
        return tensors
    heads = np.stack(
        [logits_of(config, tensors | {"mix": torch.eye(len(HEADS))[head]}, split) for head in range(len(HEADS))], axis=1
    )
    chosen_on, _ = metrics.halves(len(split))
    active = (tensors["mix"] > 0).numpy()
    mix = fitting.fit_mix(
        heads[chosen_on], split.labels[chosen_on], active, fitting.weights_of_rows(sources)[chosen_on]
    )
    return tensors | {"mix": torch.from_numpy(mix)}


def weights_of_heads(tensors: dict[str, torch.Tensor]) -> dict[str, float]:
    """The weight of each head in the served network."""
    return {name: round(float(weight), 4) for name, weight in zip(HEADS, tensors["mix"], strict=True)}


def storage_dtype(tensors: dict[str, torch.Tensor]) -> torch.dtype:
    """Data type of published weights: float32, or float16 where float32 takes more than `FULL_BYTES`."""
    return torch.float32 if 4 * sum(t.numel() for t in tensors.values()) < FULL_BYTES else torch.float16


def cast_tensors(tensors: dict[str, torch.Tensor], numbers: torch.dtype) -> dict[str, torch.Tensor]:
    """The tensors in that data type; integer counters stay as they are."""
    return {n: (t.to(numbers) if t.is_floating_point() else t).contiguous() for n, t in tensors.items()}


def logits_of(config: Config, tensors: dict[str, torch.Tensor], split: Split) -> np.ndarray:
    """Logits float32 [N, 7] of the network with these tensors, in PyTorch."""
    network = networks.build(config.network)
    network.load_state_dict(tensors)
    pictures, _ = to_device(split, config, torch.device("cpu"))
    return predict(networks.channels_last(network), pictures, bf16=False).numpy()


def served_logits(
    config: Config, tensors: dict[str, torch.Tensor], split: Split, mirrored_below: float = 0.0
) -> np.ndarray:
    """Logits float32 [N, 7] of the graph that serves the network, with a file of these tensors.

    Images with a lead below `mirrored_below` are classified mirrored too, see `both_views`; at 0 none is.
    """
    with TemporaryDirectory() as folder:
        save_file(tensors, Path(folder) / WEIGHTS_FILE)
        network = onnx_network.Network(config.network, Path(folder) / WEIGHTS_FILE)
    pictures, _ = to_device(split, config, torch.device("cpu"))
    channels = network.spec.input_channels
    parts = torch.split(pictures, SERVED_AT_ONCE)
    batches = (rows.expand(-1, channels, -1, -1).contiguous().numpy() for rows in parts)
    return np.concatenate([both_views(network, batch, mirrored_below) for batch in batches])


def recorded_logits(run: Path, epoch: int) -> np.ndarray:
    """The logits that the run recorded: [N, 7]."""
    return np.asarray(np.load(run / "predictions" / f"{epoch:03d}.npy"), np.float32)


def max_difference(logits: np.ndarray, others: np.ndarray) -> float:
    """The largest difference of a probability."""
    return float(np.abs(metrics.softmax(logits) - metrics.softmax(others)).max())


def epochs_run(run: Path) -> int:
    """How many epochs the run has finished so far."""
    return len((run / "history.csv").read_text().splitlines()) - 1


def trained_on(run: Path, known: Split) -> int:
    """The number of training images that the run recorded; without a record, all that are `known`."""
    file = run / "metrics.json"
    counts = json.loads(file.read_text()).get("pictures") if file.is_file() else None
    return sum(counts["training"].values()) if counts else len(known)


def colours(network: str) -> str:
    """The colour channels of the network's input, in words."""
    return "grey" if networks.input_channels(network) == 1 else "grey, repeated over three channels"


def describe_data(
    config: Config, trained: int, validation: int, origin: str | None, photos: Sequence[Path] = ()
) -> str:
    """The training and validation data, in a few sentences.

    Args:
        config: the recipe.
        trained: pictures of the first source that it learned from.
        validation: images that the epoch was selected on.
        origin: of `KNOWN_SPLITS`, or None.
        photos: trees of photos that it learned from too.
    """
    source = f"{FER2013['name']} in {origin}" if origin else "Pictures of the publisher's own"
    without = f", without {' and '.join(LEFT_OUT[name] for name in config.drop)}" if config.drop else ""
    names = " and ".join(RAF_DB if is_raf_db(root) else "photos of the publisher's own" for root in photos)
    extra = f" and of the held-out tenth of {names}, from the rest of which it learned too" if photos else ""
    sentences = [
        f"{source}: trained on {trained:,} pictures of {config.train_split}{without}; the best epoch was selected and "
        f"evaluated on the {validation:,} of {config.validation_split}{extra}."
    ]
    if config.ferplus_weight:
        sentences.append(f"The votes of FER+ have a weight of {config.ferplus_weight:g} beside the labels.")
    if config.teachers:
        number = len(config.teachers)
        taught = "another network" if number == 1 else f"{number} other networks"
        sentences.append(
            f"It was distilled from {taught}, with a weight of {config.distillation_weight:g} in the targets; "
            "what they learned from counts too."
        )
    if config.unlabelled:
        sentences.append("Of further pictures without labels it learned what those networks say.")
    if config.init_weights:
        sentences.append(f"It was initialised with {config.init_weights}; the data of those weights count too.")
    return " ".join(sentences)


if __name__ == "__main__":
    main()
