"""Check a data set and index it for a run: the manifest with its splits, and the annotations of its hands."""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd

from boneage_roi import __version__
from boneage_roi.configs.finders import check_finder
from boneage_roi.configs.schema import TrainConfig
from boneage_roi.datasets.annotations import Annotations, fingerprint
from boneage_roi.datasets.manifest import add_sharper_images, find_table, read_dataset
from boneage_roi.datasets.splits import assign_splits
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.fusion.kinds import find_fusion
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.imaging.steps import find_step
from boneage_roi.progress import Progress, tracked
from boneage_roi.regions import detected
from boneage_roi.runs import layout
from boneage_roi.runs.fingerprints import image_records
from boneage_roi.runs.run import Run
from boneage_roi.values import Sex


def prepare(dataset: Path, run: Run, config: TrainConfig, progress: Progress | None = None) -> pd.DataFrame:
    """Check every image of a data set and write what the training stages start from.

    Into the run folder go ``config.yaml``, ``rejected.csv`` (hands that cannot be used, and why), ``annotations/`` and,
    last, ``manifest.csv``. A run that is prepared from the same data set and splits only gets the new config; stages
    that no longer fit it are noticed by the commands that need them. A sex
    that the table does not say is taken from the image where that is DICOM. Sharper images of ``train`` hands become
    rows at the end.

    Args:
        dataset: a manifest CSV or a folder in RSNA's layout, with or without ``annotations/`` beside the CSV.
        run: the run to prepare.
        config: its settings.

    Returns:
        The manifest: the columns of ``read_manifest`` and ``split``, one row a usable image.

    Raises:
        InputError: the data set or an annotation is malformed, no hand can be used, the run is trained with other
            split shares, or its folder is the data set's or holds files that are no run's.
    """
    folder = find_table(dataset).parent
    refuse_foreign(run, dataset)
    check_names(config)
    frame = assign_splits(read_dataset(dataset), config.split)
    if config.sharper_images:
        frame = add_sharper_images(frame, folder, config.sharper_images)
    source, images = folder / "annotations", image_records(list(frame["path"]), run.images)
    state = {"hands": _fingerprint(frame, images, config), "annotations": fingerprint(source)}
    if _prepared(run) == state and _whole(run):
        write_atomically(run.path / layout.IMAGES, images.to_csv(index=False))
        run.write_config(config)
        return run.manifest
    _refuse_new_splits(run, config)
    annotations = Annotations.read(source)
    frame, reasons = _check(frame, progress)
    manifest = frame[reasons == ""]
    if manifest.empty:
        raise InputError(f"{dataset}: none of {len(frame)} hands can be used; the first: {reasons.iloc[0]}")
    rejected = frame[["id", "path"]].assign(reason=reasons)[reasons != ""]

    write_atomically(run.path / layout.MARKER, json.dumps({"boneage_roi": __version__}) + "\n")
    (run.path / layout.MANIFEST).unlink(missing_ok=True)
    annotations.write(run.path / layout.ANNOTATIONS, set(manifest["id"]))
    write_atomically(run.path / layout.REJECTED, rejected.to_csv(index=False))
    write_atomically(run.path / layout.IMAGES, images.to_csv(index=False))
    run.write_config(config)
    write_atomically(run.path / layout.PREPARED, json.dumps(state))
    write_atomically(run.path / layout.MANIFEST, manifest.to_csv(index=False))
    return run.manifest


def check_names(config: TrainConfig) -> None:
    """Do nothing when everything that the settings name, but networks and losses, is known.

    Raises:
        InputError: a name is unknown (the message lists the known ones), or nothing finds a region.
    """
    find_fusion(config.fusion.kind)
    for name in config.steps:
        find_step(name)
    check_finder(config.finder_kind, detected(config.regions))


def refuse_foreign(run: Run, dataset: Path) -> None:
    """Do nothing when a run's folder is new, or one that ``prepare`` has made.

    Raises:
        InputError: it is a file, the folder of the data set, or holds files of a run's names that no run wrote.
    """
    if run.path.exists() and not run.path.is_dir():
        raise InputError(f"{run.path}: is a file; give the run a folder of its own")
    table = find_table(dataset).resolve()
    if run.path.resolve() == table.parent:
        raise InputError(f"{run.path}: the data set lies in this folder; give the run a folder of its own")
    # Earlier versions wrote no marker; their runs have both of the other two.
    marked = '"boneage_roi"' in _text(run.path / layout.MARKER)
    own = marked or all((run.path / name).is_file() for name in (layout.CONFIG, layout.PREPARED))
    foreign = [name for name in layout.EVERYTHING if (run.path / name).exists()]
    if foreign and not own:
        raise InputError(
            f"{run.path}: holds {foreign[0]}, which no training run wrote; give the run a folder of its own"
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _fingerprint(frame: pd.DataFrame, images: pd.DataFrame, config: TrainConfig) -> str:
    content = frame.to_csv(index=False) + "".join(images["sha256"]) + config.split.model_dump_json()
    return hashlib.sha256(content.encode()).hexdigest()


def _prepared(run: Run) -> Any:
    """What a finished preparation was of; None when there is none, or its note is damaged."""
    if not (run.path / layout.MANIFEST).is_file():
        return None
    try:
        return json.loads((run.path / layout.PREPARED).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _whole(run: Run) -> bool:
    """Whether what a preparation wrote can be read."""
    try:
        _ = run.manifest, run.annotated_boxes, run.annotated("keypoints.json"), run.annotated("polygons.json")
    except InputError:
        return False
    return True


def _refuse_new_splits(run: Run, config: TrainConfig) -> None:
    """Other shares would move hands that a finished stage has learnt from into the test split."""
    trained = any(run.path.glob(f"*/{layout.METRICS}"))
    if trained and (run.path / layout.CONFIG).is_file() and run.config.split != config.split:
        raise InputError(f"{run.path}: already trained with other split shares; give the new shares a new run")


def _check(frame: pd.DataFrame, progress: Progress | None) -> tuple[pd.DataFrame, pd.Series]:
    """The table with the sexes that the images tell, and why each row cannot be used ("" when it can).

    Rows with the same index are images of one hand: what one tells of the sex holds for all.
    """
    checked = pd.DataFrame(_check_images(list(frame["path"]), progress), index=frame.index, columns=["fault", "sex"])
    sexes = frame["sex"].where(frame["sex"].notna(), checked["sex"])
    frame = frame.assign(sex=sexes.groupby(level=0).transform("first"))
    reasons = checked["fault"].mask(frame["sex"].isna() & checked["fault"].eq(""), "no sex")
    return frame, reasons.mask(frame["boneage"].isna(), "no boneage")


def _check_image(path: str) -> tuple[str, Sex | None]:
    """What is wrong with an image ("" when nothing is), and the sex that its header tells."""
    try:
        return "", read_radiograph(path).sex
    except InputError as error:
        return str(error), None


def _check_images(paths: list[str], progress: Progress | None) -> list[tuple[str, Sex | None]]:
    # Threads do: decoding and resizing release the interpreter's lock.
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        return list(tracked(pool.map(_check_image, paths), "checking images", len(paths), progress))
    finally:
        pool.shutdown(cancel_futures=True)
