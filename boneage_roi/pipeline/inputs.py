"""What a command was given to work on: images, folders and manifests, spread out into one item an image."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import repeat
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, get_args

from boneage_roi.ages import checked_age, checked_height, parse_age, parse_date
from boneage_roi.ages import chronological_age as age_on
from boneage_roi.errors import InputError
from boneage_roi.imaging.files import check_file, unreadable
from boneage_roi.imaging.reading import SUFFIXES, list_images
from boneage_roi.pipeline.storage import Place, info, is_archive, is_folder, is_url, members, objects, read_place
from boneage_roi.values import Sex, parse_sex

if TYPE_CHECKING:
    import pandas as pd

FOLDER_MANIFEST = "manifest.csv"
_SEXES = get_args(Sex)


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
        place: where its bytes are, when ``path`` is no file of this machine.
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
    place: Place | None = None


def list_inputs(inputs: Iterable[str | Path] | str | Path, *, recursive: bool = False) -> list[Item]:
    """Spread images, folders, archives and manifests out into images, in order.

    A folder gives the images directly in it; if it holds a ``manifest.csv``, that manifest's rows come first. A TAR or
    a ZIP gives its images, with what a JSON file of the same name says of each. Any of them may be a URL such as
    ``s3://bucket/folder``. With ``recursive`` folders give what lies in their folders too.
    An input that cannot be used (no such file, a folder without images, a bad manifest) becomes an item with an error.
    """
    if isinstance(inputs, str | Path):
        inputs = [inputs]
    return [item for given in inputs for item in _items(given, recursive)]


def input_files(inputs: Iterable[str | Path] | str | Path, items: Iterable[Item]) -> list[str | Path]:
    """What must stay as it is when results are written: the inputs, the tables that list images, and the images."""
    given = [inputs] if isinstance(inputs, str | Path) else list(inputs)
    manifests = [path / FOLDER_MANIFEST for path in map(Path, given) if path.is_dir()]
    return [*given, *manifests, *(item.path for item in items)]


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
        return Item(  # `replace` takes three times as long
            item.path,
            item.sex or known,
            item.chronological_age if aged else age,
            item.native_size,
            item.birth_date if aged else born,
            item.study_date or seen,
            height_cm if item.height_cm is None else item.height_cm,
            item.patient,
            item.error,
            item.place,
        )

    told = (known, age, born, seen, height_cm) != (None,) * 5
    return lambda items: [fill(item) for item in items] if told else list(items)


def _items(given: str | Path, recursive: bool) -> Iterable[Item]:
    path = Path(given)
    try:
        if not str(given).strip():
            raise InputError("an input's path is empty; give an image, a folder or a manifest")
        if is_url(given):
            return list(_remote(str(given), recursive))
        if path.is_dir():
            return _tree(path) if recursive else _folder(path)
        if is_archive(path.name) and path.is_file():
            return _archive(str(path))
        if path.suffix.lower() == ".parquet" and path.is_file():
            return _manifest(path)
        check_file(path)
        return _manifest(path) if path.suffix.lower() == ".csv" else [Item(str(path))]
    except InputError as error:
        return [Item(str(given) if is_url(given) else str(path), error=str(error))]
    except OSError as error:
        return [Item(str(path), error=str(unreadable(path, error)))]


def _tree(folder: Path) -> list[Item]:
    """The images of a folder and of all folders in it, as a PACS lays them out."""
    items: list[Item] = []
    for place, folders, _ in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        with suppress(InputError):  # no images directly in it
            items += _folder(Path(place))
    if not items:
        raise InputError(f"{folder}: no images in this folder and those in it; expected {', '.join(SUFFIXES)}")
    return items


def _archive(url: str) -> list[Item]:
    """The images in a TAR or a ZIP; as in WebDataset, files with one name up to the first dot belong together."""
    places: list[Place] = []
    facts: dict[str, bytes] = {}
    for place, text in members(url):
        if text is not None:
            facts[_stem(place.member)] = text
        elif _may_be_image(place.member):
            places.append(place)
    if not places:
        raise InputError(f"{url}: no images in this archive; expected {', '.join(SUFFIXES)}")
    return [_described(Item(place.name, place=place), facts.get(_stem(place.member))) for place in places]


def _remote(url: str, recursive: bool) -> Iterator[Item]:
    if is_archive(url):
        yield from _archive(url)
    elif url.lower().endswith((".csv", ".parquet")):
        yield from _remote_manifest(url)
    elif not is_folder(url):
        yield Item(url, place=Place(url, **info(url)))
    else:
        known: set[str] = set()
        listed = list(objects(url, recursive=recursive))
        for place in listed:
            if place.url.endswith(f"/{FOLDER_MANIFEST}"):
                for item in _remote_manifest(place.url):
                    known.add(item.path)
                    yield item
        images = [place for place in listed if place.url not in known and _may_be_image(place.url)]
        yield from (Item(place.url, place=place) for place in images)
        if not images and not known:
            raise InputError(f"{url}: no images there; expected {', '.join(SUFFIXES)}")


def _remote_manifest(url: str) -> list[Item]:
    """A manifest in a store; relative paths in it are relative to where it lies."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / url.rpartition("/")[2]
        copy.write_bytes(read_place(Place(url)).getvalue())
        try:
            items = _manifest(copy)
        except InputError as error:
            raise InputError(str(error).replace(str(copy), url)) from None
    parent = url.rpartition("/")[0]
    urls = [item.path if is_url(item.path) else f"{parent}/{Path(item.path).relative_to(folder)}" for item in items]
    return [replace(item, path=one, place=Place(one)) for item, one in zip(items, urls, strict=True)]


def _may_be_image(name: str) -> bool:
    """By its name alone: an ending of images, or none or a number, as DICOM files have."""
    path = PurePosixPath(name)
    if path.name.startswith(".") or path.name == "DICOMDIR" or "__MACOSX" in path.parts:
        return False
    return path.suffix.lower() in SUFFIXES or not path.suffix or path.suffix[1:].isdigit()


def _stem(member: str) -> str:
    folder, _, name = member.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def _described(item: Item, facts: bytes | None) -> Item:
    """An item with what a JSON object says of it, in the words of a manifest's columns."""
    if facts is None:
        return item
    try:
        said = json.loads(facts)
        told: dict[str, Any] = {name: said[name] for name in ("sex", "birth_date", "study_date") if said.get(name)}
        told |= {name: float(said[name]) for name in ("chronological_age", "height_cm") if said.get(name) is not None}
        width, height = int(said.get("width") or 0), int(said.get("height") or 0)
        patient = said.get("patient")
        (filled,) = filler(**told)([item])
    except (ValueError, TypeError, AttributeError, InputError, RecursionError) as error:
        said_so = str(error) if isinstance(error, InputError) else "it is no JSON object of such values"
        return replace(item, error=f"{item.path}: what its JSON file says is wrong: {said_so}")
    size = (width, height) if width > 0 and height > 0 else None
    return replace(filled, native_size=size, patient=None if patient is None else str(patient))


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


def _manifest(csv: Path) -> list[Item]:
    return manifest_items(read_table(csv), csv.parent)


def _known(table: "pd.DataFrame", name: str, known: "pd.Series") -> Iterable[Any]:
    """The values of a column; None where it is not known."""
    return _spread(table[name][known].tolist(), known)


def _spread(values: Iterable[Any], known: "pd.Series") -> Iterable[Any]:
    """Values, one each time that something is known; None in between."""
    if not known.any():
        return repeat(None)
    left = iter(values)
    return (next(left) if there else None for there in known.tolist())
