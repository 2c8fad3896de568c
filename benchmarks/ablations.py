"""Train one region's network with one thing switched off at a time: a run folder each in RUN/ablations.

    python benchmarks/ablations.py runs/default

The shipped recipe would take hours; every variant, and the control that they are compared with, gets the same short one
round on all train images. `benchmarks/accuracy.py` puts what they reach into its table.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from boneage_roi.configs.schema import RoundConfig
from boneage_roi.runs.run import Run
from boneage_roi.training.stages import region_stage

VARIANTS: dict[str, dict[str, Any]] = {
    "control": {},
    "no-sex": {"sex": False},
    "no-cbam": {"attention": False},
    "no-label-distribution": {"distribution_weight": 0.0, "l1_weight": 1.0},
    "no-augmentation": {"augmentation": 0.0, "bad_exports": 0.0},
    "no-pretraining": {"weights": "none"},
}
SHARED = ("manifest.csv", "annotations", "segmenter", "detector", "frames", "boxes")
"""What a variant takes over from the run."""


def main(
    run: Path, region: str = "carpal", epochs: int = 4, only: Annotated[list[str] | None, typer.Option()] = None
) -> None:
    """Train the variants that are not trained yet."""
    for name in only or VARIANTS:
        print(name, region_stage(variant_run(Run(run), region, name, epochs), region))


def variant_run(run: Run, region: str, name: str, epochs: int) -> Run:
    """The run folder of a variant."""
    changed = dict(VARIANTS[name])
    in_round = {name: changed.pop(name) for name in ("augmentation", "bad_exports") if name in changed}
    one = RoundConfig.model_validate({"epochs": epochs, "augmentation": 0.4} | in_round)
    settings = run.config.regions[region].model_copy(update={"rounds": (one,), **changed})
    variant = Run(run.path / "ablations" / name)
    from_nothing = {"name": name, "start": None, "regions": run.config.regions | {region: settings}}
    variant.write_config(run.config.model_copy(update=from_nothing))
    for shared in SHARED:
        link = variant.path / shared
        if not link.exists():
            link.symlink_to((run.path / shared).resolve())
    return variant


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
