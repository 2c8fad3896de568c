"""Bone ages as a pandas DataFrame."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from boneage_roi.outputs.records import result_columns, result_row
from boneage_roi.pipeline.batch import predict_files
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.progress import Progress, tracked
from boneage_roi.values import parse_sex

TEXTS = ("path", "status", "sex", "quality", "flags", "message")


def predict_table(
    inputs: str | Path | Iterable[str | Path],
    *,
    bundle: Bundle | str | Path | None = None,
    sex: str | None = None,
    tta: bool = True,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """Read the bone ages of images, folders and manifests: what ``boneage-roi predict --output`` writes.

    Args:
        inputs: an image, a folder, a manifest CSV, or several of them.
        bundle: a bundle or its folder; None for the one that comes with the package.
        sex: "M" or "F" (or "male", "female") for images whose manifest gives none; goes before a DICOM file's own.
        tta: read each region in six views.
        progress: is told how many images are done.

    Returns:
        One row an image, in order: ``path``, ``status``, ``bone_age_months``, ``lower``, ``upper``, ``sex``, an age for
        each region of the bundle (``carpal_age``), ``quality``, ``flags``, ``message``. Ages are months, NaN where
        there is none; texts are "" then. An image that fails has its row too.

    Raises:
        InputError: the sex is unknown or the bundle cannot be used.

    Example::

        ages = predict_table("examples/")
        ages[["path", "bone_age_months", "carpal_age"]]
    """
    known_sex = parse_sex(sex)
    items = list_inputs(inputs)
    reader = BoneAgeReader(bundle, tta=tta)
    outcomes = tracked(predict_files(reader, items, sex=known_sex), "reading hands", len(items), progress)
    columns = result_columns(reader.regions)
    return result_frame((result_row(outcome, reader.regions) for outcome in outcomes), columns)


def result_frame(
    rows: Iterable[dict[str, object]], columns: Iterable[str], texts: Iterable[str] = TEXTS
) -> pd.DataFrame:
    """Rows as a DataFrame: ``texts`` as text, every other column as float64, NaN where a cell is ""."""
    frame = pd.DataFrame(list(rows), columns=list(columns), dtype=object)
    words = set(texts)
    for name in frame:
        frame[name] = frame[name].astype(str) if name in words else pd.to_numeric(frame[name].replace("", None))
    return frame.astype({name: float for name in frame if name not in words})
