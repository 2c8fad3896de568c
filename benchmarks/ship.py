"""Put finished stages of a run into a bundle, in place of what it has of them.

    python benchmarks/ship.py runs/new boneage_roi/bundles/default --stage aspect
    python benchmarks/ship.py runs/new boneage_roi/bundles/default --stage fusion --stage quality

What the bundle says of its other parts stays. With `fusion` go the views that the run reads with, and what was measured
of the run's `test` hands; the model card is written anew.
"""

import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.fusion.maturity import MATURITY_FILE
from boneage_roi.pipeline.bundle import Bundle, write_bundle_manifest
from boneage_roi.pipeline.manifest import FUSION_FILES
from boneage_roi.runs import layout
from boneage_roi.runs.run import Run
from boneage_roi.training.measuring import measure_test
from boneage_roi.training.model_card import model_card

WRITTEN_ANEW = {"created", "package_version", "files"}
STAGES = (layout.ASPECT, layout.FUSION, layout.QUALITY)


def main(
    run: Path,
    bundle: Path,
    stage: Annotated[list[str], typer.Option(help=f"one of {', '.join(STAGES)}; may be given more than once")],
) -> None:
    """Put stages of a run into a bundle."""
    made, opened = Run(run), Bundle.load(bundle)
    fields: dict[str, Any] = opened.manifest.model_dump(mode="json", exclude=WRITTEN_ANEW)
    metrics = fields["metrics"]
    for name in stage:
        if name not in STAGES:
            raise InputError(f"unknown stage {name!r}; known are {', '.join(STAGES)}")
        measured = made.metrics(name)
        if measured is None:
            raise InputError(f"{run}: the stage {name} is not finished")
        metrics[name] = measured
        for file in _files(made, name):
            shutil.copyfile(made.path / name / file, bundle / file)
    if layout.ASPECT in stage:
        fields["aspect"] = {"limit": metrics[layout.ASPECT]["limit"]}
    if layout.FUSION in stage:
        for file in set(FUSION_FILES[opened.manifest.fusion.kind]) - set(_files(made, layout.FUSION)):
            (bundle / file).unlink()
        fields["fusion"] = {"kind": made.config.fusion.kind}
        fields["views"] = [view.model_dump(mode="json") for view in made.config.views]
        metrics["test"] = measure_test(made)
        counts = {str(split): int(n) for split, n in made.manifest.split.value_counts().items()}
        described = {name: fields[name] for name in ("name", "training_data", "license_note")}
        config = made.config.model_copy(update={**described, "start": "an earlier bundle"})
        write_atomically(bundle / "MODEL_CARD.md", model_card(config, metrics, counts))
    write_bundle_manifest(bundle, **fields)
    Bundle.load(bundle)


def _files(run: Run, stage: str) -> tuple[str, ...]:
    """What a bundle takes of a stage's folder."""
    fusion = (*FUSION_FILES[run.config.fusion.kind], "intervals.json", MATURITY_FILE)
    return {layout.ASPECT: ("aspect.onnx",), layout.FUSION: fusion, layout.QUALITY: (layout.GATE_FILE,)}[stage]


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
