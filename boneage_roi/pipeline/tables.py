"""Tables that list images: manifests, and tables in RSNA's layout."""

import os
from collections.abc import Iterable
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from boneage_roi.errors import InputError
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.storage import Place, is_url
from boneage_roi.values import Sex

if TYPE_CHECKING:
    import pandas as pd

_SEXES = get_args(Sex)


def read_table(csv: Path, *, labels: bool = False) -> "pd.DataFrame":
    """A manifest, or a table in RSNA's layout; images may be missing.

    Args:
        labels: refuse ages that look like years, see :func:`boneage_roi.datasets.manifest.read_manifest`.

    Raises:
        InputError: it is neither.
    """
    from boneage_roi.datasets.manifest import read_dataset, read_manifest  # brings pandas, which an image does not need

    try:
        return read_manifest(csv, check_images=False, labels=labels)
    except InputError as error:
        try:  # RSNA's layout has no path column
            return read_dataset(csv, labels=labels)
        except InputError:
            raise error from None


def manifest_items(table: "pd.DataFrame", folder: Path) -> list[Item]:
    """The images of a manifest's rows, in order; column by column, for a million rows should take seconds.

    Args:
        table: from :func:`read_table`.
        folder: where the table lies; images in it are named as relative as the folder is.
    """
    absolute = f"{folder.absolute()}{os.sep}"
    relative = "" if str(folder) == "." else os.path.join(folder, "")  # noqa: PTH118
    cut = len(absolute)
    paths = [relative + path[cut:] if path.startswith(absolute) else path for path in table["path"].tolist()]
    sized = table["width"].gt(0) & table["height"].gt(0)  # False for NaN
    sizes = zip(table["width"][sized].astype(int).tolist(), table["height"][sized].astype(int).tolist(), strict=True)
    columns = (
        _known(table, "sex", table["sex"].isin(_SEXES)),
        _known(table, "chronological_age", table["chronological_age"].ge(0)),
        _spread(sizes, sized),
        _known(table, "birth_date", table["birth_date"].notna()),
        _known(table, "study_date", table["study_date"].notna()),
        _known(table, "height_cm", table["height_cm"].gt(0)),
        _known(table, "patient", table["patient"].notna()) if "patient" in table else repeat(None),
        repeat(""),
        (Place(path) if "://" in path and is_url(path) else None for path in paths),
    )
    return list(map(Item, paths, *columns))  # in the order of its attributes


def _known(table: "pd.DataFrame", name: str, known: "pd.Series") -> Iterable[Any]:
    """The values of a column; None where it is not known."""
    return _spread(table[name][known].tolist(), known)


def _spread(values: Iterable[Any], known: "pd.Series") -> Iterable[Any]:
    """Values, one each time that something is known; None in between."""
    if not known.any():
        return repeat(None)
    left = iter(values)
    return (next(left) if there else None for there in known.tolist())
