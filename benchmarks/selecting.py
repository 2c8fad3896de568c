"""What `boneage-roi select` is worth: the error after so many labelled hands, against hands chosen at random.

    python benchmarks/selecting.py runs/default --plot selecting.png

A pool of `train` hands plays the archive without labels. The reader that learns from those labelled so far has never
seen a hand: ImageNet features of each region (64 principal components, found without labels), and a ridge regression a
region; their mean is the age. Doubt is the spread of regressions on twenty bootstrap samples, disagreement that of the
regions, distance that of `select`. Errors are of the `fusion` hands. Every way starts from the same random hands.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from rich.progress import track
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from boneage_roi.learning.backbones import PIXEL_MEAN, PIXEL_STD, lite_network
from boneage_roi.regional_models.crops import cut_crops
from boneage_roi.reports.select import choose
from boneage_roi.runs.artefacts import FrameCache, read_boxes
from boneage_roi.runs.run import Run

WAYS = {
    "all three": (1.0, 1.0, 1.0),
    "doubt": (1.0, 0.0, 0.0),
    "disagreement": (0.0, 1.0, 0.0),
    "distance": (0.0, 0.0, 1.0),
}
CROPS = {"hand": ((160, 128), 0.0), "carpal": ((96, 96), 0.1), "epiphysis": ((64, 64), 0.0)}
"""Region -> size of a crop, and its margin."""

Features = dict[str, NDArray[np.float64]]


def main(
    run: Annotated[Path, typer.Argument(help="A run with frames and boxes of its train and fusion hands.")],
    pool: Annotated[int, typer.Option(help="Hands without a label.")] = 3000,
    hands: Annotated[int, typer.Option(help="Fusion hands that errors are measured on.")] = 1000,
    start: int = 50,
    step: int = 50,
    most: Annotated[int, typer.Option(help="Labelled hands at the end.")] = 800,
    seeds: int = 8,
    plot: Annotated[Path | None, typer.Option(help="A PNG of the curves.")] = None,
) -> None:
    """Print the curves as a table."""
    opened = Run(run)
    table = opened.manifest
    boxes, frames = read_boxes(opened), FrameCache(opened)
    parts = []
    for split, count in (("train", pool), ("fusion", hands)):
        whole = table[(table.split == split) & table["id"].isin(list(boxes))]
        parts.append(whole.sample(min(count, len(whole)), random_state=0))
    features = [region_features(list(part["id"]), frames, boxes) for part in parts]
    features = reduced(features[0], features[1])
    sexes = [np.asarray(part.sex == "M", np.float64) for part in parts]
    ages = [np.asarray(part.boneage, np.float64) for part in parts]
    sizes = range(start, min(most, len(parts[0])) + 1, step)
    curves: dict[str, list[list[float]]] = {name: [] for name in ("random", *WAYS)}
    for seed in track(range(seeds), "seeds"):
        for name in curves:
            labelled = labelling(name, seed, sizes, features[0], sexes[0], ages[0])
            curves[name].append([error(rows, features, sexes, ages) for rows in labelled])
    print(f"Mean absolute error in months on {len(parts[1])} fusion hands, mean of {seeds} starts\n")
    print("| labelled | " + " | ".join(curves) + " |\n|---|" + "---|" * len(curves))
    for place, size in enumerate(sizes):
        print(
            f"| {size} | " + " | ".join(f"{np.mean([c[place] for c in runs]):.2f}" for runs in curves.values()) + " |"
        )
    gains = np.array(curves["random"]) - np.array(curves["all three"])
    middle, spread = gains.mean(), gains.mean(axis=1).std(ddof=1) / np.sqrt(seeds)
    print(f"\nrandom minus all three, mean over the curve: {middle:+.2f} months (standard error {spread:.2f})")
    if plot is not None:
        draw(plot, list(sizes), curves)


def region_features(keys: Sequence[str], frames: FrameCache, boxes: dict[str, list]) -> Features:  # type: ignore[type-arg]
    """ImageNet features (N, 1280) of each region of hands; those of several crops are averaged."""
    network = lite_network("efficientnet-lite0", "imagenet").eval()
    found: dict[str, list[NDArray[np.float64]]] = {region: [] for region in CROPS}
    for key in track(keys, "features"):
        for region, (size, margin) in CROPS.items():
            crops = cut_crops(frames[key], boxes.get(key, []), region, size, margin)
            if crops is None:
                found[region].append(np.full(1280, np.nan))
                continue
            pixels = torch.from_numpy(crops.pixels[:, None].astype(np.float32) / 255)
            with torch.inference_mode():
                seen = network.forward_features((pixels - PIXEL_MEAN) / PIXEL_STD).mean(dim=(0, 2, 3))
            found[region].append(seen.double().numpy())
    return {region: np.stack(rows) for region, rows in found.items()}


def reduced(pool: Features, held: Features, components: int = 64) -> list[Features]:
    """Principal components of each region, found on the pool; a region that was not found is the pool's mean."""
    both: list[Features] = [{}, {}]
    for region in CROPS:
        mean = np.nanmean(pool[region], axis=0)
        filled = [np.where(np.isnan(part[region]), mean, part[region]) for part in (pool, held)]
        found = PCA(components, whiten=True, random_state=0).fit(filled[0])
        for part, values in zip(both, filled, strict=True):
            part[region] = found.transform(values)
    return both


def inputs(features: Features, region: str, sexes: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a region's regression sees: features, sex, and features of boys apart."""
    own = features[region]
    return np.concatenate([own, sexes[:, None], own[:, :16] * sexes[:, None]], axis=1)


def taught(
    rows: NDArray[np.intp],
    features: Features,
    sexes: NDArray[np.float64],
    ages: NDArray[np.float64],
    asked: tuple[Features, NDArray[np.float64]] | None = None,
) -> Features:
    """Each region's ages of hands, by regressions that learnt from some rows; of the same hands, or of those asked."""
    told = {}
    for region in CROPS:
        learnt = inputs(features, region, sexes)
        seen = learnt if asked is None else inputs(asked[0], region, asked[1])
        told[region] = Ridge(alpha=20.0).fit(learnt[rows], ages[rows]).predict(seen)
    return told


def labelling(
    way: str,
    seed: int,
    sizes: range,
    features: Features,
    sexes: NDArray[np.float64],
    ages: NDArray[np.float64],
) -> Iterator[NDArray[np.intp]]:
    """The rows labelled at each size; ages of others are not looked at."""
    random = np.random.default_rng(seed)
    rows = random.permutation(len(ages))[: sizes[0]]
    vectors = np.concatenate([features[region] for region in CROPS], axis=1)
    for size in sizes:
        if (count := size - len(rows)) > 0:
            left = np.setdiff1d(np.arange(len(ages)), rows)
            if way == "random":
                new = random.choice(left, count, replace=False)
            else:
                told = taught(rows, features, sexes, ages)
                apart = np.std([told[region] for region in CROPS], axis=0)
                samples = [random.choice(rows, len(rows)) for _ in range(20)]
                spread = [np.mean(list(taught(one, features, sexes, ages).values()), axis=0) for one in samples]
                doubt = np.std(spread, axis=0)
                chosen, _ = choose(
                    doubt[left], apart[left], vectors[left], count, known=vectors[rows], weights=WAYS[way]
                )
                new = left[chosen]
            rows = np.concatenate([rows, new])
        yield rows


def error(
    rows: NDArray[np.intp],
    features: Sequence[Features],
    sexes: Sequence[NDArray[np.float64]],
    ages: Sequence[NDArray[np.float64]],
) -> float:
    """Mean absolute error in months on the hands that are held back."""
    told = taught(rows, features[0], sexes[0], ages[0], (features[1], sexes[1]))
    return float(np.abs(np.mean(list(told.values()), axis=0) - ages[1]).mean())


def draw(path: Path, sizes: list[int], curves: dict[str, list[list[float]]]) -> None:
    """Error against labelled hands, a line a way, with the standard error of its mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), dpi=140, layout="constrained")
    axes = figure.subplots()
    for name, runs in curves.items():
        values = np.array(runs)
        middle, spread = values.mean(axis=0), values.std(axis=0) / np.sqrt(len(values))
        axes.plot(sizes, middle, label=name, linewidth=2 if name in ("random", "all three") else 1)
        axes.fill_between(sizes, middle - spread, middle + spread, alpha=0.15)
    axes.set_xlabel("labelled hands")
    axes.set_ylabel("mean absolute error (months)")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path)


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
