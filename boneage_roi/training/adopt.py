"""Taking over a run of version 0.1, whose stages did not record what they were made of."""

import json
from pathlib import Path

from boneage_roi import __version__
from boneage_roi.files import write_atomically
from boneage_roi.fusion.kinds import find_fusion
from boneage_roi.fusion.train import INTERVALS
from boneage_roi.runs import layout, plan
from boneage_roi.runs.fingerprints import Fingerprints, image_records
from boneage_roi.runs.run import Run


def adopt(run: Run) -> list[str]:
    """Count finished stages as made with the settings, hands and images of today; files move to where they lie now.

    The caller answers for it that nothing has changed since. Stages that have a record keep it.

    Returns:
        The stages that were taken over.

    Raises:
        InputError: the run is not prepared.
    """
    config, hands = run.config, run.manifest
    write_atomically(run.path / layout.MARKER, json.dumps({"boneage_roi": __version__}) + "\n")
    images = image_records(list(hands["path"]), run.images)
    write_atomically(run.path / layout.IMAGES, images.to_csv(index=False))
    _move(run.path / layout.FRAMES / "spoiled.npy", run.path / layout.FRAMES / layout.FRAME_FILES[1])
    _move(run.path / "boxes.csv", run.path / layout.BOXES / layout.BOXES_FILE)
    for old in sorted((run.path / layout.READINGS).glob("*/*.npz")):
        _move(old, old.with_suffix("") / layout.READINGS_FILE)
    readings = [layout.readings_stage(region) for region in config.regions]
    *regions, fusion, quality = (name for name in plan.trained_stages(config) if name not in _FIRST)
    found = []
    for stage in (layout.SEGMENTER, layout.FRAMES, layout.DETECTOR, layout.BOXES, *regions, *readings, fusion, quality):
        outputs = _outputs(run, stage)
        if run.record(stage) is not None or not all((run.path / stage / name).is_file() for name in outputs):
            continue
        metrics = run.metrics(stage)
        if metrics is None and stage in plan.trained_stages(config):
            continue
        write_atomically(run.path / stage / layout.FINGERPRINT, json.dumps(Fingerprints(run).now(stage)))
        if stage == layout.DETECTOR and metrics is not None:
            metrics.setdefault("regions", list(metrics["found"])[1:])
        run.finish(stage, metrics or {}, outputs=outputs)
        found.append(stage)
    return found


_FIRST = (layout.SEGMENTER, layout.DETECTOR)


def _outputs(run: Run, stage: str) -> tuple[str, ...]:
    kind = stage.partition("/")[0]
    files = {
        layout.FRAMES: (layout.FRAME_FILES[-1],),
        layout.BOXES: (layout.BOXES_FILE,),
        layout.READINGS: (layout.READINGS_FILE,),
        layout.FUSION: (*find_fusion(run.config.fusion.kind).files, INTERVALS),
        layout.QUALITY: (layout.GATE_FILE,),
    }
    return files.get(kind, (run.network(stage).name,))


def _move(old: Path, new: Path) -> None:
    if old.is_file() and not new.is_file():
        new.parent.mkdir(parents=True, exist_ok=True)
        old.rename(new)
