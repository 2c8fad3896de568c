"""Transfer to other hands: go on from a bundle with its network's first blocks frozen, from none to all of them.

    python benchmarks/transfer.py my-hands.csv runs/tj-net/bundle --size small --frozen 1 --frozen 3

Each number is a run of its own in FOLDER; `boneage-roi compare` then sets them side by side.
"""

from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.reports.compare import compare, markdown
from boneage_roi.runs.reuse import reuse
from boneage_roi.runs.run import Run
from boneage_roi.training.prepare import prepare
from boneage_roi.training.stages import train_everything


def variant(config: TrainConfig, start: Path, frozen: int) -> TrainConfig:
    """The settings with the first ``frozen`` blocks of every region's network frozen in every round."""
    regions = {
        name: region.model_copy(
            update={"rounds": tuple(one.model_copy(update={"frozen_stages": frozen}) for one in region.rounds)}
        )
        for name, region in config.regions.items()
    }
    changes = {"name": f"{config.name} {frozen} frozen", "start": str(start), "regions": regions}
    return config.model_copy(update=changes)


def main(
    dataset: Path,
    start: Path,
    preset: str = "tj-net-transfer",
    size: Annotated[str | None, typer.Option()] = None,
    folder: Path = Path("runs/transfer"),
    frozen: Annotated[list[int] | None, typer.Option(help="May come several times.")] = None,
) -> None:
    """Train every variant that is not trained yet, and print one table."""
    runs: list[Path] = []
    for count in frozen or [0, 1, 2, 3, 4, 5, 6]:
        run = Run(folder / f"frozen-{count}")
        prepare(dataset, run, variant(TrainConfig.load(preset, size), start, count))
        if runs:
            reuse(run, Run(runs[0]))  # hand frames of the same steps
        train_everything(run)
        runs.append(run.path)
    print(markdown(compare(runs, output=folder / "comparison").table))


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
