"""Taking finished stages of another run over, where they are made of the same: several presets on the same hands."""

import os
import shutil

from boneage_roi.errors import InputError
from boneage_roi.runs import layout, plan
from boneage_roi.runs.fingerprints import Fingerprints
from boneage_roi.runs.run import Run


def reuse(run: Run, other: Run) -> list[str]:
    """Link every stage that a run would make as another has made it: same settings, hands, images and stages before.

    Files are linked where the disk can, else copied; no stage of the run that was begun is touched.

    Args:
        run: a prepared run.
        other: a run of the same data set.

    Returns:
        The stages that were taken over.

    Raises:
        InputError: the other is no run, or the same one.
    """
    _ = other.config
    if run.path.resolve() == other.path.resolve():
        raise InputError(f"{other.path}: a run cannot take over its own stages")
    config, taken = run.config, []
    finder = (layout.DETECTOR,) if plan.finder_is_trained(config) else ()
    regions = [layout.region_stage(region) for region in config.regions]
    readings = [layout.readings_stage(region) for region in config.regions]
    first = (layout.SEGMENTER, layout.ASPECT, layout.FRAMES, *finder, layout.BOXES)
    for stage in (*first, *regions, *readings, layout.FUSION, layout.QUALITY):
        made = other.record(stage)
        if run.begun(stage) or made is None or other.metrics(stage) is None:
            continue
        now = Fingerprints(run).now(stage)
        if (plan.completed(made["settings"]), made["inputs"]) == (now["settings"], now["inputs"]):
            _link(other, run, stage)
            taken.append(stage)
    return taken


def _link(source: Run, run: Run, stage: str) -> None:
    """Link a stage's files, and those last that say that it is finished."""
    folder, last = source.path / stage, (layout.FINGERPRINT, layout.METRICS)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".ckpt"]
    for path in sorted(files, key=lambda path: last.index(path.name) if path.name in last else -1):
        target = run.path / stage / path.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            shutil.copyfile(path, target)
