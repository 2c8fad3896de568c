"""Boxes as this project's own CSV: ``id, source, label, xmin, ymin, xmax, ymax``, in 0..1 of the image."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from boneage_roi.errors import InputError

COLUMNS = ("id", "label", "xmin", "ymin", "xmax", "ymax")
CORNERS = ("xmin", "ymin", "xmax", "ymax")

Row = tuple[str, str, float, float, float, float]


def boxes_frame(rows: Iterable[Row], source: Path) -> pd.DataFrame:
    """A table of boxes from ``(id, label, xmin, ymin, xmax, ymax)``, cut to the image; empty ones are dropped.

    Raises:
        InputError: a box is turned round or leaves the image by more than a drawn box may.
    """
    frame = pd.DataFrame(list(rows), columns=list(COLUMNS)).astype(
        {"id": object, "label": object} | dict.fromkeys(CORNERS, float)
    )
    return _check(frame, source)


def read_boxes_csv(path: Path) -> pd.DataFrame:
    """Read a box CSV; boxes are cut to the image and empty ones dropped.

    Returns:
        ``id, source, label, xmin, ymin, xmax, ymax``; ``source`` is the file's name when the file does not say.

    Raises:
        InputError: not a CSV, a column is missing, or a box is malformed.
    """
    try:
        frame = pd.read_csv(path, dtype={"id": str, "source": str, "label": str})
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: not a readable box CSV ({str(error).splitlines()[0]})") from None
    missing = [name for name in COLUMNS if name not in frame]
    if missing:
        raise InputError(f"{path}: no `{missing[0]}` column; it has {', '.join(map(str, frame.columns))}")
    if "source" not in frame:
        frame["source"] = path.stem
    for name in CORNERS:
        frame[name] = pd.to_numeric(frame[name], errors="coerce").astype(float)
    return _check(frame[["id", "source", "label", *CORNERS]], path)


def _check(frame: pd.DataFrame, source: Path) -> pd.DataFrame:
    corners = frame[list(CORNERS)]
    inside = corners.ge(-0.05).all(axis=1) & corners.le(1.05).all(axis=1)
    wrong = frame.index[~(inside & frame["xmin"].le(frame["xmax"]) & frame["ymin"].le(frame["ymax"]))]
    if len(wrong):
        box = ", ".join(f"{value:g}" for value in corners.loc[wrong[0]])
        hand = frame["id"][wrong[0]]
        raise InputError(
            f"{source}: id {hand}: box ({box}) is turned round or outside the image; corners are 0..1 of its size"
        )
    frame = frame.assign(**{name: frame[name].clip(0, 1) for name in CORNERS})
    # Published boxes made from masks have a few without height, of components one pixel high: they hold nothing.
    return frame[frame["xmin"].lt(frame["xmax"]) & frame["ymin"].lt(frame["ymax"])].reset_index(drop=True)
