"""Bone ages as a pandas DataFrame."""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pandas as pd

from boneage_roi.outputs.records import TEXTS, result_columns, result_row
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.engines import Work, read_here
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import filler
from boneage_roi.pipeline.settings import ReaderSettings
from boneage_roi.progress import Progress, tracked


def predict_table(
    inputs: str | Path | Iterable[str | Path],
    *,
    bundle: Bundle | str | Path | None = None,
    sex: str | None = None,
    chronological_age: str | float | None = None,
    birth_date: str | date | None = None,
    study_date: str | date | None = None,
    height_cm: float | None = None,
    tta: bool = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Read the bone ages of images, folders and manifests: what ``boneage-roi predict --output`` writes.

    Args:
        inputs: an image, a folder, a manifest CSV, or several of them.
        bundle: a bundle or its folder; None for the shipped one.
        sex: "M" or "F" (or "male", "female") for images whose manifest gives none; goes before a DICOM file's own.
        chronological_age: months, or an age such as ``10y4m``; this and the next three are as ``sex``.
        birth_date, study_date: dates such as ``2014-03-09``, another way to say the chronological age.
        height_cm: standing height on the day of the radiograph; gives the adult height.
        tta: read each region in all views of the bundle.
        workers: processes that read; None chooses by cores and memory, and takes 1 for a few images.
        progress: is told how many images are done.

    Returns:
        One row an image, in order, with the columns of :data:`boneage_roi.outputs.records.FIELDS`: ``path``,
        ``status``, ``bone_age_months``, ``sds``, ``determination`` and more, and an age for each region of the bundle
        (``carpal_age``). Ages are months, NaN where there is none; texts are "" then. An image that fails has its row
        too.

    Raises:
        InputError: what is said of the child is none, or the bundle cannot be used.

    Example::

        ages = predict_table("examples/")
        ages[["path", "bone_age_months", "carpal_age"]]
    """
    fill = filler(
        sex=sex,
        chronological_age=chronological_age,
        birth_date=birth_date,
        study_date=study_date,
        height_cm=height_cm,
    )
    items = fill(list_inputs(inputs))
    settings = ReaderSettings(bundle if isinstance(bundle, Bundle) else Bundle.load(bundle), tta)
    outcomes = read_here(Work(settings, workers, count=len(items)))(items)
    regions = settings.bundle.manifest.regions
    rows = (result_row(outcome, regions) for outcome in tracked(outcomes, "reading hands", len(items), progress))
    return result_frame(rows, result_columns(regions))


def result_frame(
    rows: Iterable[dict[str, object]], columns: Iterable[str], texts: Iterable[str] = TEXTS
) -> pd.DataFrame:
    """Rows as a DataFrame: ``texts`` as text, every other column as float64, NaN where a cell is ""."""
    frame = pd.DataFrame(list(rows), columns=list(columns), dtype=object)
    words = set(texts)
    for name in frame:
        frame[name] = frame[name].astype(str) if name in words else pd.to_numeric(frame[name].replace("", None))
    return frame.astype({name: float for name in frame if name not in words})
