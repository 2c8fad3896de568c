"""What a command was given to work on: images, folders and manifests, spread out into one item an image."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from boneage_roi.ages import checked_age, checked_height, parse_age, parse_date
from boneage_roi.ages import chronological_age as age_on
from boneage_roi.errors import InputError
from boneage_roi.imaging.files import check_file, unreadable
from boneage_roi.imaging.reading import list_images
from boneage_roi.values import Sex, parse_sex

if TYPE_CHECKING:
    import pandas as pd

FOLDER_MANIFEST = "manifest.csv"


@dataclass(frozen=True)
class Item:
    """One image to work on, or an input that is none.

    Attributes:
        path: the image, as relative as the input was given.
        sex: what a manifest says, or None.
        chronological_age: months, or None.
        native_size: (width, height) pixels before the image was squashed, or None.
        birth_date, study_date: give the chronological age, or None.
        height_cm: standing height on the day of the radiograph, or None.
        patient: what tells one child from another, or None.
        error: why this input cannot be used; empty when it can.
    """

    path: str
    sex: Sex | None = None
    chronological_age: float | None = None
    native_size: tuple[int, int] | None = None
    birth_date: date | None = field(default=None, repr=False)
    study_date: date | None = None
    height_cm: float | None = None
    patient: str | None = field(default=None, repr=False)
    error: str = ""


def list_inputs(inputs: Iterable[str | Path] | str | Path) -> list[Item]:
    """Spread images, folders and manifest CSVs out into images, in order.

    A folder gives the images directly in it; if it holds a ``manifest.csv``, that manifest's rows come first.
    An input that cannot be used (no such file, a folder without images, a bad manifest) becomes an item with an error.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    return [item for given in inputs for item in _items(given)]


def filler(
    *,
    sex: str | None = None,
    chronological_age: str | float | None = None,
    birth_date: str | date | None = None,
    study_date: str | date | None = None,
    height_cm: float | None = None,
) -> Callable[[Iterable[Item]], list[Item]]:
    """A function that gives items what their manifests do not say; it goes before what a DICOM file says.

    Args:
        sex: M, F, male or female.
        chronological_age: months, or an age such as ``10y4m``.
        birth_date, study_date: as ``2014-03-09``; another way to say the chronological age.
        height_cm: standing height.

    Raises:
        InputError: one of them is none, or the age is given twice.

    >>> items = filler(chronological_age="10y")([Item("a.png"), Item("b.png", chronological_age=90)])
    >>> [item.chronological_age for item in items]
    [120.0, 90]
    """
    known = parse_sex(sex)
    age = parse_age(chronological_age) if isinstance(chronological_age, str) else chronological_age
    born, seen = (parse_date(day) if isinstance(day, str) else day for day in (birth_date, study_date))
    if age is not None:
        checked_age(age, "chronological age")
    if age is not None and born is not None:
        raise InputError("chronological age and birth date: give one of them")
    if born is not None and seen is not None:
        age_on(born, seen)
    if height_cm is not None:
        checked_height(height_cm)

    def fill(item: Item) -> Item:
        aged = item.chronological_age is not None or item.birth_date is not None
        return replace(
            item,
            sex=item.sex or known,
            chronological_age=item.chronological_age if aged else age,
            birth_date=item.birth_date if aged else born,
            study_date=item.study_date or seen,
            height_cm=height_cm if item.height_cm is None else item.height_cm,
        )

    return lambda items: [fill(item) for item in items]


def _items(given: str | Path) -> list[Item]:
    path = Path(given)
    try:
        if not str(given).strip():
            raise InputError("an input's path is empty; give an image, a folder or a manifest")
        if path.is_dir():
            return _folder(path)
        check_file(path)
        return _manifest(path) if path.suffix.lower() == ".csv" else [Item(str(path))]
    except InputError as error:
        return [Item(str(path), error=str(error))]
    except OSError as error:
        return [Item(str(path), error=str(unreadable(path, error)))]


def _folder(folder: Path) -> list[Item]:
    manifest = folder / FOLDER_MANIFEST
    if not manifest.is_file():
        return [Item(str(path)) for path in list_images(folder)]
    listed = _manifest(manifest)
    known = {Path(item.path) for item in listed}
    try:
        return [*listed, *(Item(str(path)) for path in list_images(folder) if path not in known)]
    except InputError:  # the manifest's images lie elsewhere
        return listed


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
    """The images of a manifest's rows, in order.

    Args:
        table: from :func:`read_table`.
        folder: where the table lies; images in it are named as relative as the folder is.
    """
    return [_row(row, folder) for row in table.to_dict("records")]


def _manifest(csv: Path) -> list[Item]:
    return manifest_items(read_table(csv), csv.parent)


def _row(row: dict[Any, Any], folder: Path) -> Item:
    path = Path(row["path"])
    if path.is_relative_to(folder.absolute()):
        path = folder / path.relative_to(folder.absolute())
    sized = row["width"] > 0 and row["height"] > 0  # False for NaN
    patient = row.get("patient")
    return Item(
        str(path),
        sex=row["sex"] if row["sex"] in get_args(Sex) else None,
        chronological_age=row["chronological_age"] if row["chronological_age"] >= 0 else None,
        native_size=(int(row["width"]), int(row["height"])) if sized else None,
        birth_date=row.get("birth_date"),
        study_date=row.get("study_date"),
        height_cm=row["height_cm"] if row.get("height_cm", 0) > 0 else None,
        patient=patient if isinstance(patient, str) else None,
    )
