"""The worth of each step before the networks: one network on the same hands, prepared in different ways.

    python benchmarks/preprocessing.py ../shared/data/rsna --size small --folder runs/preprocessing

Original against masked against registered images are Iglovikov et al.'s (2018); the others are steps that papers name.
`rare` is no step: hands of rare ages are shown more often (`rare_ages: 1`). Each is a run of its own; one table sets
them side by side.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from boneage_roi.configs.schema import TrainConfig

VARIANTS: dict[str, dict[str, Any]] = {
    "raw": {"steps": ()},
    "masked": {"steps": ("mask",)},
    "masked-normalised": {"steps": ("mask", "mean-grey")},
    "registered": {"steps": ("mask", "register")},
    "clahe": {"steps": ("clahe",)},
    "equalise": {"steps": ("equalise",)},
    "rare": {"steps": (), "rare_ages": 1.0},
}


def variant(config: TrainConfig, name: str) -> TrainConfig:
    """The whole hand's part of the settings, with the steps of a variant."""
    changes = dict(VARIANTS[name])
    rare = changes.pop("rare_ages", 0.0)
    hand = config.regions["hand"]
    rounds = tuple(one.model_copy(update={"rare_ages": rare}) for one in hand.rounds)
    regions = {"hand": hand.model_copy(update={"rounds": rounds})}
    fusion = config.fusion.model_copy(update={"kind": "mean"})
    return config.model_copy(update={"name": name, "regions": regions, "finder": None, "fusion": fusion, **changes})


def main(
    dataset: Path,
    preset: str = "dl-baa",
    size: Annotated[str | None, typer.Option()] = "small",
    folder: Path = Path("runs/preprocessing"),
    only: Annotated[list[str] | None, typer.Option(help="May come several times.")] = None,
) -> None:
    """Train every variant that is not trained yet, and print one table."""
    from variants import compared

    config = TrainConfig.load(preset, size)
    print(compared(dataset, folder, {name: variant(config, name) for name in only or VARIANTS}))


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
