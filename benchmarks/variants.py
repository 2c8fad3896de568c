"""Trials of a system's variants: each is trained, and one table sets them side by side."""

from collections.abc import Mapping
from pathlib import Path

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.reports.compare import compare, markdown
from boneage_roi.runs.reuse import reuse
from boneage_roi.runs.run import Run
from boneage_roi.training.prepare import prepare
from boneage_roi.training.stages import train_everything


def compared(dataset: Path, folder: Path, variants: Mapping[str, TrainConfig]) -> str:
    """Train every variant that is not trained yet, each a run of its own in a folder; the table."""
    runs: list[Path] = []
    for name, config in variants.items():
        run = Run(folder / name)
        prepare(dataset, run, config)
        if runs:
            reuse(run, Run(runs[0]))  # hand frames of the same steps
        train_everything(run)
        runs.append(run.path)
    return markdown(compare(runs, output=folder / "comparison").table)
