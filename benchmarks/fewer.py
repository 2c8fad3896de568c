"""A data set with fewer hands to learn from, so that many systems can be trained on the same ones in a day.

    python benchmarks/fewer.py ../data/rsna ../data/fewer --train 2400 --fusion 500
    boneage-roi train ../data/fewer --run runs/tj-net --preset tj-net --size small

The `test` hands stay, all of them, and so do the images, which are named by their absolute paths, and the annotations,
which are linked.
"""

from pathlib import Path
from typing import Annotated

import pandas as pd
import typer

from boneage_roi.configs.schema import SplitConfig
from boneage_roi.datasets.manifest import find_table, read_dataset
from boneage_roi.datasets.splits import assign_splits
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically


def main(
    dataset: Path,
    folder: Path,
    train: Annotated[int, typer.Option(min=1)] = 2400,
    fusion: Annotated[int, typer.Option(min=1)] = 500,
    seed: Annotated[int, typer.Option(help="Another number draws other hands.")] = 0,
) -> None:
    """Draw hands of `train` and `fusion`, the same ones each time for a seed, and write their table."""
    hands = assign_splits(read_dataset(dataset), SplitConfig())
    parts = [hands[hands.split == "test"]]
    for split, wanted in (("train", train), ("fusion", fusion)):
        of_split = hands[hands.split == split]
        if len(of_split) < wanted:
            raise InputError(f"{dataset}: has {len(of_split)} hands of {split}, not {wanted}")
        parts.append(of_split.sample(wanted, random_state=seed))
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "manifest.csv"
    if table.exists():
        raise InputError(f"{table}: exists; give a new folder")
    annotations = find_table(dataset).parent.absolute() / "annotations"
    if annotations.is_dir():
        (folder / "annotations").symlink_to(annotations)
    chosen = pd.concat(parts).sort_index()
    write_atomically(table, chosen.to_csv(index=False))
    print(chosen.split.value_counts().to_string())


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
