"""Error of each bone alone, and the worth of each region by developmental stage: tables of docs/reference/accuracy.md.

    boneage-roi evaluate runs/default/manifest.csv --split test --output report
    python benchmarks/bones_and_stages.py report/predictions.csv

Reads what an evaluation wrote; that of one that still runs or was stopped (``predictions.csv.partial``) will do.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from boneage_roi.errors import InputError
from boneage_roi.metrics import error_statistics
from boneage_roi.outputs.records import bone_column
from boneage_roi.regional_models.bones import BONES
from boneage_roi.regions import REGIONS
from boneage_roi.reports.stages import EDGES, STAGES, stage_table, without_column

FEWEST = 10
"""A stage with fewer hands is not shown."""


def main(predictions: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]) -> None:
    """Print the tables as Markdown."""
    try:
        table = pd.read_csv(predictions)
        table = table[(table["status"] == "ok") & table["boneage"].notna()]
    except (ValueError, KeyError) as error:
        raise InputError(f"{predictions}: not what `boneage-roi evaluate` writes ({error})") from None
    print_bones(table)
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
