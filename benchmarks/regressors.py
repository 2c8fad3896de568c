"""Every way to fuse on the same readings: RB-FCL's regressors, stacking and the shipped fusion on one run's regions.

    python benchmarks/regressors.py runs/rb-fcl

Errors are those of hands of the `fusion` split that a fusion had not seen (cross-fitted), and of the `test` hands.
"""

import tempfile
from pathlib import Path

import numpy as np

from boneage_roi.fusion.kind import Lesson
from boneage_roi.fusion.kinds import FUSIONS
from boneage_roi.fusion.train import load_hands
from boneage_roi.metrics import error_statistics
from boneage_roi.runs.run import Run
from boneage_roi.training.artefacts import cache_readings


def main(run: Path) -> None:
    """Print a row a fusion."""
    opened = Run(run)
    for region in opened.config.regions:
        cache_readings(opened, region)
        cache_readings(opened, region, "test")
    (hands, ages), (test, truth) = load_hands(opened), load_hands(opened, "test")
    print(f"| fusion | cross-fitted MAE, {len(hands)} hands | test MAE, {len(test)} hands | RMSE |\n|---|---|---|---|")
    for name, kind in FUSIONS.items():
        with tempfile.TemporaryDirectory() as place:
            lesson = Lesson(hands, ages, opened.config.fusion, Path(place), opened.config.seed)
            fitted = kind.teach(lesson)
            months = kind.open(Path(place))(test)[1]
        found = error_statistics(truth, months)
        own = float(np.abs(fitted.months - ages).mean())
        mae = f"{found['mae'].value:.2f} ({found['mae'].low:.2f} to {found['mae'].high:.2f})"
        print(f"| `{name}` | {own:.2f} | {mae} | {found['rmse'].value:.2f} |", flush=True)


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
