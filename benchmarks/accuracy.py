"""What every part of a trained run is worth, on its `test` hands: the tables of docs/reference/accuracy.md.

    python benchmarks/accuracy.py runs/default --against report-first/predictions.csv > docs/reference/accuracy.md

Networks read the `fusion` and `test` hands once; the readings stay in the run folder. Every fusion is fitted to the
`fusion` hands alone.
"""

import tempfile
from collections.abc import Iterable
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import typer
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from boneage_roi.configs.schema import FusionConfig
from boneage_roi.errors import InputError, RejectedError
from boneage_roi.fusion.calibration import fit_intervals
from boneage_roi.fusion.features import HandReadings, moments
from boneage_roi.fusion.kind import CrossFitted, Fusion, Lesson
from boneage_roi.fusion.kinds import find_fusion
from boneage_roi.fusion.train import load_hands
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.metrics import error_statistics, error_table, paired_difference
from boneage_roi.pipeline import BoneAgeReader
from boneage_roi.regions import REGIONS, age_column
from boneage_roi.runs.artefacts import read_readings, readings_path
from boneage_roi.runs.run import Run
from boneage_roi.training.artefacts import cache_readings, open_fuser
from boneage_roi.training.measuring import prediction_table

Ages = NDArray[np.float32]
Table = Annotated[Path | None, typer.Option(exists=True, dir_okay=False)]
Folder = Annotated[Path | None, typer.Option(exists=True, file_okay=False)]
NAMES = tuple(REGIONS)
OTHERS = ("mean", "ridge", "trees", "rb-fcl", "rb-fcl+trees")
"""Ways to fuse that the shipped one is set beside."""
ENDS = ("F 0-24", "M 0-24", "F 204-240", "M 204-240")
PROMISED = 3.0
OFTEN = 0.02
"""A label's age that more of a sex's hands than this have is one that the rater writes often."""
NEIGHBOURS = 6
"""Months (standard deviation) around a label's age that it is compared with."""


def main(run: Path, against: Table = None, sharper: Folder = None) -> None:
    """Print the tables of a finished run as Markdown.

    Args:
        run: the finished run.
        against: predictions.csv that `boneage-roi evaluate` wrote of the same hands with an earlier bundle.
        sharper: folder with images of some of the hands at a higher resolution.
    """
    opened = Run(run)
    for region in NAMES:
        for split, tta in (("fusion", True), ("test", True), ("test", False)):
            cache_readings(opened, region, split, tta=tta)
    (hands, ages), (plain, _) = load_hands(opened, "test"), load_hands(opened, "test", tta=False)
    earlier = read_predictions(against, test_ids(opened)) if against else None
    fuser = open_fuser(opened)
    shipped, half = fuser.fuse(hands)
    options = [f" --{name} {path}" for name, path in (("against", against), ("sharper", sharper)) if path]
    command = f"python benchmarks/accuracy.py {run}{''.join(options)}"
    print(f"# Accuracy of the bundle `{opened.config.name}`\n")
    print(f"Made by `{command}`.\n")
    print(f"Errors are months on the {len(ages):,} `test` hands, which no network and no fusion has seen, against one")
    print(
        "radiologist's reading. *Difference* is the mean absolute error minus the shipped bundle's on the same hands,"
    )
    print("with a paired 95 % bootstrap interval: above 0 is worse.\n")

    table(
        "The shipped bundle",
        [("with test-time augmentation", shipped), ("without", fuser.fuse(plain)[0])],
        ages,
        shipped,
    )
    predictions = prediction_table(hands, ages, shipped, half)
    alone = [(region, predictions[age_column(region)].to_numpy()) for region in NAMES]
    table("Each region alone", alone, ages, shipped)
    print_likeness(predictions)
    if earlier is not None:
        print_progress(earlier, predictions)
    taught = Taught(opened, opened.config.fusion)
    print_fusions(opened, taught, hands, ages, shipped)
    crossed = cross_validated_predictions(taught)
    print_rater_ages(opened, taught, crossed, hands, predictions)
    dropped = [("all six", shipped)]
    for gone in (*((row,) for row in range(len(NAMES))), *combinations(range(len(NAMES)), 2)):
        dropped.append((" and ".join(NAMES[row] for row in gone), fuser.fuse(without(hands, gone))[0]))
    table("The shipped fusion without", dropped, ages, shipped)
    print_ablations(opened)
    if sharper:
        print_resolutions(opened, sharper, shipped)
    print_ends(predictions, crossed)
    print_groups(predictions, crossed)


class Taught:
    """A way to fuse, taught with the `fusion` hands of a run, and what it says of each of them unseen."""

    def __init__(self, run: Run, settings: FusionConfig) -> None:
        kind, (hands, ages) = find_fusion(settings.kind), load_hands(run)
        with tempfile.TemporaryDirectory() as folder:
            self.lesson = Lesson(hands, ages, settings, Path(folder), run.config.seed)
            self.crossed: CrossFitted = kind.teach(self.lesson)
            self.fusion: Fusion = kind.open(Path(folder))

    @property
    def error(self) -> float:
        """Mean absolute error of the `fusion` hands, months."""
        return float(np.abs(self.crossed.months - self.lesson.ages).mean())


def test_ids(run: Run) -> list[str]:
    """Ids of the `test` hands in the order of `load_hands`."""
    hands, readings = run.manifest, read_readings(run, "test")
    return [key for key in hands.id[hands.split == "test"] if key in readings]


def read_predictions(path: Path, ids: list[str]) -> pd.DataFrame:
    """What `boneage-roi evaluate` wrote of hands, in the order of their ids.

    Raises:
        InputError: it wrote another file, or of other hands.
    """
    columns = [*(age_column(region) for region in NAMES), "bone_age_months"]
    try:
        return pd.read_csv(path, dtype={"id": str}).set_index("id").loc[ids, columns]
    except (OSError, ValueError, KeyError):
        raise InputError(f"{path}: not the predictions.csv that `boneage-roi evaluate` wrote of these hands") from None


def table(title: str, rows: Iterable[tuple[str, Ages]], ages: Ages, shipped: Ages) -> None:
    """Mean absolute errors, and differences to the shipped bundle; ages that are NaN do not count."""
    print(f"## {title}\n\n| | hands | MAE | 95 % | difference |\n|---|---|---|---|---|")
    for name, predicted in rows:
        seen = ~np.isnan(predicted)
        mae = error_statistics(ages[seen], predicted[seen])["mae"]
        print(f"| {name} | {seen.sum():,} | {mae.value:.2f} | {mae.low:.2f} to {mae.high:.2f} ", end="")
        print(f"| {difference(predicted[seen] - ages[seen], shipped[seen] - ages[seen])} |")
    print()


def difference(errors: Ages, reference: Ages) -> str:
    """The paired difference of two mean absolute errors as text."""
    if np.array_equal(errors, reference):
        return ""
    paired = paired_difference(errors, reference)
    return f"{paired.value:+.2f} ({paired.low:+.2f} to {paired.high:+.2f})"


def print_likeness(predictions: pd.DataFrame) -> None:
    """Correlations of the regions' errors: what the label is off by is in all of them alike."""
    errors = predictions[[age_column(region) for region in NAMES]].sub(predictions.boneage, axis=0)
    print("## How alike the regions err\n")
    print("Correlation of the errors, and their standard deviation in months.\n")
    print(f"| | {' | '.join(NAMES)} | standard deviation |\n|---{'|---' * len(NAMES)}|---|")
    for region, row, spread in zip(NAMES, errors.corr().to_numpy(), errors.std(), strict=True):
        print(f"| {region} | {' | '.join(f'{value:.2f}' for value in row)} | {spread:.1f} |")
    print()


def print_progress(earlier: pd.DataFrame, now: pd.DataFrame) -> None:
    """What became of each reading since an earlier bundle; the same hands in the same order."""
    print("## Against the earlier bundle\n\n| | earlier MAE | now | now - earlier |\n|---|---|---|---|")
    ages = now.boneage.to_numpy()
    columns = {region: age_column(region) for region in NAMES} | {"fused": "bone_age_months"}
    for name, column in columns.items():
        old, new = earlier[column].to_numpy(float) - ages, now[column].to_numpy(float) - ages
        both = ~np.isnan(old) & ~np.isnan(new)
        print(f"| {name} | {np.abs(old[both]).mean():.2f} | {np.abs(new[both]).mean():.2f} ", end="")
        print(f"| {difference(new[both], old[both])} |")
    print()


def print_fusions(run: Run, taught: Taught, hands: HandReadings, ages: Ages, shipped: Ages) -> None:
    """Every way to fuse, cross-validated on the `fusion` hands and fitted to all of them for the `test` hands."""
    teaching, known = taught.lesson.hands, taught.lesson.ages
    errors = np.abs(region_ages(teaching) - known[:, None]).mean(axis=0)
    best = int(errors.argmin())
    measured = [(f"best region ({NAMES[best]})", float(errors[best]), region_ages(hands)[:, best])]
    for kind in OTHERS:
        settings = run.config.fusion.model_copy(update={"kind": kind, "balance": 0.0})
        if settings != run.config.fusion:
            other = Taught(run, settings)
            measured.append((kind, other.error, other.fusion(hands)[1]))
    measured.append((f"{way(run.config.fusion)} (shipped)", taught.error, shipped))
    print("## Ways to fuse\n\n| | `fusion` hands, cross-validated | `test` hands | difference |\n|---|---|---|---|")
    for name, error, predicted in measured:
        mae = error_statistics(ages, predicted)["mae"].value
        print(f"| {name} | {error:.2f} | {mae:.2f} | {difference(predicted - ages, shipped - ages)} |")
    print()


def way(settings: FusionConfig) -> str:
    """What a way to fuse is called."""
    balance = f", `balance: {settings.balance:g}`" if settings.kind == "ridge" and settings.balance else ""
    return f"{settings.kind}{balance}"


def print_rater_ages(
    run: Run, taught: Taught, crossed: pd.DataFrame, hands: HandReadings, shipped: pd.DataFrame
) -> None:
    """What naming only ages that the rater writes would do to the errors."""
    known = run.manifest[run.manifest.split == "train"]
    share = known.groupby("sex").boneage.value_counts(normalize=True)
    often = share[share > OFTEN].groupby("sex").agg(["size", "sum"])
    (girls, girls_share), (boys, boys_share) = often.loc[["F", "M"]].itertuples(index=False, name=None)
    print("## If only the ages were named that the rater writes\n")
    print(f"Of the `train` labels, {girls:.0f} ages make up {girls_share:.0%} of the girls' and {boys:.0f} make up")
    print(f"{boys_share:.0%} of the boys'. Each month of the fused distribution counts by how much more often it is a")
    print("label than the months around it, and the median is named.\n")
    print("| | MAE, shipped | named | named - shipped | RMSE, shipped | named |\n|---|---|---|---|---|---|")
    rows = {
        "`fusion` hands, cross-validated": (crossed, taught.lesson.hands, taught.crossed.distributions),
        "`test` hands": (shipped, hands, taught.fusion(hands)[0]),
    }
    for name, (table, some, distributions) in rows.items():
        months, ages = table.bone_age_months.to_numpy(np.float32), table.boneage.to_numpy(np.float32)
        named = rater_ages(known, some.sex, distributions, months)
        before, after = error_statistics(ages, months), error_statistics(ages, named)
        print(f"| {name} | {before['mae'].value:.2f} | {after['mae'].value:.2f} ", end="")
        print(f"| {difference(named - ages, months - ages)} ", end="")
        print(f"| {before['rmse'].value:.2f} | {after['rmse'].value:.2f} |")
    print()


def rater_ages(known: pd.DataFrame, male: Ages, distributions: Ages, months: Ages) -> Ages:
    """Medians of distributions (N, 240), moved to their bone ages (N,), that prefer the labels' favourite ages."""
    scale = np.arange(distributions.shape[1])
    labels = [known.boneage[known.sex == sex].round().astype(int) for sex in ("F", "M")]
    counts = np.stack([np.bincount(ages, minlength=len(scale)) for ages in labels]).astype(float)
    weights = counts / (gaussian_filter1d(counts, NEIGHBOURS) + 1e-3)
    moved = months - moments(distributions)[0]
    in_place = [np.interp(scale - by, scale, each) for by, each in zip(moved, distributions, strict=True)]
    preferred = np.stack(in_place) * weights[male.astype(int)]
    before_median = preferred.cumsum(1) < preferred.sum(1, keepdims=True) / 2
    return np.asarray(before_median.sum(1), dtype=np.float32)


def region_ages(hands: HandReadings) -> Ages:
    """(N, R) months; an absent region says what the others say on average."""
    age = np.where(hands.present > 0, moments(hands.distributions)[0], np.nan)
    return np.where(np.isnan(age), np.nanmean(age, axis=1, keepdims=True), age)


def without(hands: HandReadings, gone: tuple[int, ...]) -> HandReadings:
    """The hands as if some regions had not been found."""
    left = hands[np.arange(len(hands))]
    left.present[:, gone] = 0
    left.features[:, gone] = 0
    left.distributions[:, gone] = 1 / left.distributions.shape[-1]
    return left


def print_ablations(run: Run) -> None:
    """What `benchmarks/ablations.py` trained, against its control."""
    trained = sorted(run.path.glob("ablations/*/regions/*/metrics.json"))
    if not trained:
        return
    errors = {}
    for path in trained:
        folder, region = path.parents[2], path.parent.name
        variant = Run(folder)
        settings = variant.config.regions[region]
        cache_readings(variant, region, "test", tta=False)
        with np.load(readings_path(variant, region, "test", tta=False)) as kept:
            ages = run.manifest.set_index("id").boneage[kept["ids"]].to_numpy(np.float32)
            errors[folder.name] = moments(kept["distributions"])[0] - ages
    print(f"## One thing switched off in the `{region}` network\n")
    epochs = settings.rounds[0].epochs
    print(f"Trained by `python benchmarks/ablations.py {run.path} --epochs {epochs}`, all alike; without test-time")
    print("augmentation.\n")
    print("| | MAE | minus control |\n|---|---|---|")
    control = errors.pop("control")
    for name, error in {"control": control, **errors}.items():
        print(f"| {name} | {np.abs(error).mean():.2f} | {difference(error, control)} |")
    print()


def print_resolutions(run: Run, folder: Path, shipped: Ages) -> None:
    """The same `test` hands as coarse and as sharp images."""
    ages = run.manifest.set_index("id").loc[test_ids(run)].assign(coarse=shipped)
    images = {path.stem: path for path in folder.iterdir()}
    both = ages[ages.index.isin(images.keys())]
    predictor = BoneAgeReader(run.bundle)
    ages_of_sharp = []
    for key, sex in zip(both.index, both.sex, strict=True):
        with suppress(RejectedError):
            ages_of_sharp.append((key, predictor.predict(read_radiograph(images[key], sex=sex)).months))
    both = both.loc[[key for key, _ in ages_of_sharp]]
    sharp = np.array([months for _, months in ages_of_sharp], np.float32)
    coarse, truth = both.coarse.to_numpy(np.float32), both.boneage.to_numpy(np.float32)
    change, maes = np.abs(sharp - coarse), [np.abs(some - truth).mean() for some in (coarse, sharp)]
    print(f"## The same hands sharper (`{folder.name}`)\n\n| | |\n|---|---|\n| hands | {len(both)} |")
    print(
        f"| mean absolute difference | {change.mean():.2f} |\n| its 95th percentile | {np.percentile(change, 95):.1f} |"
    )
    print(f"| mean difference | {(sharp - coarse).mean():+.2f} |\n| MAE as they are | {maes[0]:.2f} |")
    print(f"| MAE sharper | {maes[1]:.2f} |\n| sharper - as they are | {difference(sharp - truth, coarse - truth)} |\n")


def cross_validated_predictions(taught: Taught) -> pd.DataFrame:
    """Of the `fusion` hands, each read by a fusion and given an interval that had not seen it."""
    lesson, crossed = taught.lesson, taught.crossed
    errors, half = np.abs(crossed.months - lesson.ages), np.zeros_like(lesson.ages)
    for teach, keep in lesson.folds():
        seen = lesson.hands[teach], crossed.distributions[teach], errors[teach]
        intervals = fit_intervals(*seen, lesson.settings.coverage)
        half[keep] = intervals.half_width(lesson.hands[keep], crossed.distributions[keep])
    return prediction_table(lesson.hands, lesson.ages, crossed.months, half)


def print_ends(predictions: pd.DataFrame, crossed: pd.DataFrame) -> None:
    """Bias of the youngest and the oldest, by sex, where the promise is three months."""
    print("## Both ends\n")
    print(f"Bias is predicted minus true; the goal is {PROMISED:g} months, cross-validated on the `fusion` hands.\n")
    print("| | `fusion` hands | bias | 95 % | in the interval | goal | `test` hands | bias |")
    print("|---|---|---|---|---|---|---|---|")
    tables = (error_table(one).to_dict("records") for one in (crossed, predictions))
    seen, measured = ({row["level"]: row for row in rows} for rows in tables)
    for level in ENDS:
        if level not in seen or level not in measured:
            continue
        own, test = seen[level], measured[level]
        met = "met" if abs(own["bias"]) <= PROMISED else "not met"
        print(
            f"| {level} | {own['n']} | {own['bias']:+.1f} | {own['bias_low']:+.1f} to {own['bias_high']:+.1f} ", end=""
        )
        print(f"| {own['coverage']:.0%} | {met} | {test['n']} | {test['bias']:+.1f} |")
    print()


def print_groups(predictions: pd.DataFrame, cross_validated: pd.DataFrame) -> None:
    """Error, bias and coverage by sex and age."""
    print("## By sex and age\n")
    print("Bias is predicted minus true; intervals are the 90 % ones. The last columns are the `fusion` hands, each")
    print("read and given an interval by a fusion that had not seen it.\n")
    print("| | hands | MAE | bias | 95 % | in the interval | its width | `fusion` hands | bias | in the interval |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    others = {row["level"]: row for row in error_table(cross_validated).to_dict("records")}
    for row in error_table(predictions).to_dict("records"):
        if row["group"] == "region":
            continue
        print(f"| {row['level']} | {row['n']:,} | {row['mae']:.2f} | {row['bias']:+.1f} ", end="")
        print(f"| {row['bias_low']:+.1f} to {row['bias_high']:+.1f} | {row['coverage']:.1%} ", end="")
        other = others.get(row["level"], {"n": 0, "bias": np.nan, "coverage": np.nan})
        print(f"| {row['width']:.0f} | {other['n']:,} | {other['bias']:+.1f} | {other['coverage']:.1%} |")


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
