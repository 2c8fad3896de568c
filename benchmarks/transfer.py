"""Transfer to other hands: go on from a bundle with its network's first blocks frozen, from none to all of them.

    python benchmarks/transfer.py my-hands.csv runs/tj-net/bundle --size small --frozen 1 --frozen 3

Each number is a run of its own in FOLDER; `boneage-roi compare` then sets them side by side.
"""

from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.configs.schema import TrainConfig


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
    from variants import compared

    config = TrainConfig.load(preset, size)
    counts = frozen or [0, 1, 2, 3, 4, 5, 6]
    print(compared(dataset, folder, {f"frozen-{count}": variant(config, start, count) for count in counts}))


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
