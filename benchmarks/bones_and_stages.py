"""Tables of docs/reference/accuracy.md: error of each bone alone, what leaving far growth plates out does, and the
worth of each region by developmental stage.

    boneage-roi evaluate runs/default/manifest.csv --split test --output report
    python benchmarks/bones_and_stages.py report/predictions.csv --manifest runs/default/manifest.csv

Reads what an evaluation wrote; that of one that still runs or was stopped (``predictions.csv.partial``) will do. With
the manifest it reads the hands with a far growth plate once more without that plate; all others stay as they are.
"""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from boneage_roi.errors import InputError, RejectedError
from boneage_roi.metrics import error_statistics, paired_difference
from boneage_roi.outputs.records import bone_column
from boneage_roi.pipeline.batch import analyse_files
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.pipeline.tables import manifest_items, read_table
from boneage_roi.regional_models.bones import BONES
from boneage_roi.regions import GROWTH_PLATES, REGIONS
from boneage_roi.reports.stages import EDGES, STAGES, stage_table, without_column

FEWEST = 10
"""A stage with fewer hands is not shown."""


def main(
    predictions: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    manifest: Annotated[Path | None, typer.Option(help="That was evaluated.")] = None,
    bundle: Annotated[Path | None, typer.Option(help="That was evaluated; default: the shipped one.")] = None,
) -> None:
    """Print the tables as Markdown."""
    try:
        table = pd.read_csv(predictions)
        table = table[(table["status"] == "ok") & table["boneage"].notna()]
    except (ValueError, KeyError) as error:
        raise InputError(f"{predictions}: not what `boneage-roi evaluate` writes ({error})") from None
    print_bones(table)
    if manifest is not None:
        print_outliers(table, manifest, BoneAgeReader(bundle))
    print_stages(table)


def print_bones(table: pd.DataFrame) -> None:
    """Error of each bone's own age; a bone without one has no numbers."""
    print("## Each bone alone\n")
    print(f"{len(table):,} `test` hands, months. A bone without numbers gets no age, see")
    print("[limits](../explanation/limits.md#each-bone-alone).\n")
    print("| bone | hands | MAE | 95 % | bias |\n|---|---|---|---|---|")
    for bone in BONES:
        seen = table.dropna(subset=[bone_column(bone)])
        if seen.empty:
            print(f"| {bone} | 0 | - | - | - |")
            continue
        found = error_statistics(seen["boneage"], seen[bone_column(bone)])
        mae, bias = found["mae"], found["bias"]
        print(f"| {bone} | {len(seen):,} | {mae.value:.1f} | {mae.low:.1f} to {mae.high:.1f} | {bias.value:+.1f} |")
    print()


def print_outliers(table: pd.DataFrame, manifest: Path, reader: BoneAgeReader) -> None:
    """The fused age without the growth plates that are far from the others, against the one with all."""
    far = table["plates_far"].fillna("").str.split("; ").map(lambda names: [n for n in names if n in GROWTH_PLATES])
    known = {item.path: item for item in manifest_items(read_table(manifest, labels=True), manifest.parent)}
    rows = table.index[far.map(bool)]
    without = table["bone_age_months"].copy()
    for row, outcome in zip(rows, analyse_files(reader, [known[path] for path in table["path"][rows]]), strict=True):
        assert outcome.analysis is not None, outcome.message
        kept = tuple(box for box in outcome.analysis.boxes if box.name not in far[row])
        with suppress(RejectedError):  # its regions disagree without them
            without[row] = reader.read(reader.with_boxes(outcome.analysis, kept)).months
    gain = paired_difference(without - table["boneage"], table["bone_age_months"] - table["boneage"])
    errors = [float((age - table["boneage"]).abs().mean()) for age in (table["bone_age_months"], without)]
    print("## Growth plates that are far from the others\n")
    print(
        f"Of {len(table):,} `test` hands {len(rows)} have one or more. With these left out of the fused age, the mean"
    )
    print(f"absolute error of all hands is {errors[1]:.3f} months instead of {errors[0]:.3f}, a difference")
    print(f"of {gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}).\n")


def print_stages(table: pd.DataFrame) -> None:
    """Worth of each region in every stage: months that the error grows by without it."""
    regions = tuple(name for name in REGIONS if without_column(name) in table)
    stages = stage_table(table, regions)
    print("## Worth of each region by developmental stage\n")
    print(
        "A region is worth the months by which the mean absolute error of the fused age grows without it, on the same"
    )
    print(
        "hands; with a paired 95 % bootstrap interval. Bold: the interval is above 0. *Alone* is the error of the best"
    )
    print(
        "region alone. Stages are by bone age, those of Gilsanz and Ratib (*Hand Bone Age*, Springer 2005), infancy and"
    )
    print(f"toddlers taken together. One with fewer than {FEWEST} hands is left out.\n")
    print(f"| | bone age, years | hands | MAE | alone | {' | '.join(regions)} |")
    print(f"|---|---|---|---|---|{'---|' * len(regions)}")
    for sex, word in (("F", "girls"), ("M", "boys")):
        for place, stage in enumerate(STAGES):
            rows = stages[(stages["sex"] == sex) & (stages["stage"] == stage)].set_index("region")
            if rows.empty or rows["n"].max() < FEWEST:
                continue
            low, high = EDGES[sex][place : place + 2]
            years = f"{low / 12:g} to {high / 12:g}" if high < 1000 else f"{low / 12:g} and more"
            best = str(rows["mae_alone"].idxmin())
            alone = f"{best} {rows['mae_alone'][best]:.1f}"
            cells = [_worth(rows, region) for region in regions]
            counts = f"{rows['n'].max():,} | {rows['mae'].iloc[0]:.1f}"
            print(f"| {word}, {stage} | {years} | {counts} | {alone} | {' | '.join(cells)} |")


def _worth(rows: pd.DataFrame, region: str) -> str:
    if region not in rows.index:
        return "-"
    row = rows.loc[region]
    text = f"{row['worth']:+.2f} ({row['worth_low']:+.2f} to {row['worth_high']:+.2f})"
    return f"**{text}**" if row["worth_low"] > 0 else text


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
