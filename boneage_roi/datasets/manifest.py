"""Tables of hands: the manifest CSV and RSNA's layout, read into one set of columns."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from boneage_roi.ages import HEIGHTS_CM, OLDEST, parse_date
from boneage_roi.datasets.tables import MISSING, read_parquet_table, read_text_table
from boneage_roi.errors import InputError
from boneage_roi.imaging.reading import SUFFIXES, read_radiograph
from boneage_roi.values import MONTHLY, Radiograph

KEPT_COLUMNS = ("split", "patient")

# What RSNA's own training, validation and test tables call the same things.
_ALIASES = {"image id": "id", "case id": "id", "bone age (months)": "boneage"}
_SEXES = {"m": "M", "male": "M", "true": "M", "f": "F", "female": "F", "false": "F"}
_DATES = ("birth_date", "study_date")
_AGES = ("boneage", "chronological_age")
_FEW, _OLDEST_YEARS = 3, 20
"""So many ages that are all so low are years."""
_RANGES = {
    "boneage": (0, MONTHLY.bins - 1),
    "chronological_age": (0, OLDEST),
    "height_cm": HEIGHTS_CM,
    "width": (1, 100_000),
    "height": (1, 100_000),
}
_NUMBERS = (*_RANGES, *(f"{name}_{unit}" for name in _AGES for unit in ("months", "years")))


def read_manifest(path: Path, *, check_images: bool = True, labels: bool = False) -> pd.DataFrame:
    """Read a manifest CSV with a ``path`` column; column names are case-insensitive.

    Args:
        path: the CSV; relative image paths in it are relative to its folder.
        check_images: refuse the table when an image is missing. Batch prediction turns this off to report each one.
        labels: refuse ages that look like years; ``boneage_years`` and ``boneage_months`` say the unit.

    Returns:
        ``id`` (str), ``path`` (absolute, str), ``sex`` ("M", "F" or missing), ``boneage`` and ``chronological_age``
        (months), ``width`` and ``height`` (native pixels), ``height_cm`` (the child's), ``birth_date`` and
        ``study_date`` (:class:`datetime.date`), and ``split`` and ``patient`` when the file has them. What the file
        does not say is missing.

    Raises:
        InputError: the file cannot be read, has no rows or no ``path``, a value is wrong, an id comes twice, or an
            image is missing.
    """
    path = Path(path)
    table = _read_table(path)
    _require(table, "path", path)
    _refuse_missing(table["path"], "path", path)
    given = table["path"].tolist()
    paths = _absolute(given, path.parent.absolute())
    if "id" not in table:
        stems = [_stem(image) for image in paths]
        table["id"] = pd.Series(stems if len(set(stems)) == len(stems) else given, dtype=object)
    table["path"] = pd.Series(paths, dtype=object)
    frame = _normalise(table, path, labels)
    if check_images:
        _refuse_missing_images([Path(image) for image in paths if not Path(image).is_file()], len(paths), path)
    return frame


def _stem(path: str) -> str:
    name = path.rpartition(os.sep)[2]
    return name.rpartition(".")[0] or name


def _absolute(paths: Iterable[str], folder: Path) -> list[str]:
    """Paths as absolute as their table's folder; URLs stay. A million take a second: few need more than a look."""
    start = f"{folder}{os.sep}"
    plain = os.sep == "/" and not start.startswith("//")
    return [
        text
        if "://" in text
        else start + text
        if plain and text[0] != "/" and "//" not in text and "/." not in f"/{text}"
        else str(folder / text)
        for text in paths
    ]


def read_dataset(path: Path, *, labels: bool = True) -> pd.DataFrame:
    """Read a data set: a manifest CSV, or a table with ``id, boneage, male`` beside a folder of images (RSNA's layout).

    Args:
        path: the CSV, or the folder that holds it. Of several image folders the one that has images of the most ids
            is taken.
        labels: as in ``read_manifest``.

    Returns:
        The columns of ``read_manifest``.

    Raises:
        InputError: as ``read_manifest``; or the folder holds no table, several, or no images.
    """
    csv = find_table(path)
    table = _read_table(csv)
    if "path" in table:
        return read_manifest(csv, labels=labels)
    _require(table, "id", csv)
    _refuse_missing(table["id"], "id", csv)
    images = _images_of(csv.parent, set(table["id"]))
    if not images:
        raise InputError(f"{csv}: no `path` column and no folder of ID.png images beside it; add either")
    missing = [Path(f"{name}.*") for name in table["id"] if name not in images]
    _refuse_missing_images(missing, len(table), csv)
    table["path"] = [str(images[name]) for name in table["id"]]
    return _normalise(table, csv, labels)


def add_sharper_images(hands: pd.DataFrame, folder: Path, name: str) -> pd.DataFrame:
    """Append a row for every ``train`` hand that has an image in the folder ``name`` too.

    The row is the hand's own, its index included; only the id ends in the folder's name, and no native size is given,
    because the aspect is right already. An image that the table lists itself is not added.

    Args:
        hands: the columns of ``read_manifest`` and ``split``.
        folder: where the table lies; the folder ``name`` is looked for at most two levels down.
        name: the folder of images; none of that name adds nothing.
    """
    images = _images_of(folder, set(hands["id"][hands["split"] == "train"]), name)
    paths = hands["id"].map({hand: str(image) for hand, image in images.items()}).astype(object)
    sharper = hands.assign(id=hands["id"] + f"-{name}", path=paths, width=float("nan"), height=float("nan"))
    return pd.concat([hands, sharper[paths.notna() & ~paths.isin(hands["path"])]])


def read_hand(hand: Any) -> Radiograph:
    """The radiograph of a manifest's row, its aspect restored where the row knows the native size."""
    native = None if pd.isna(hand.width) else (int(hand.width), int(hand.height))
    return read_radiograph(hand.path, native_size=native)


def find_table(path: Path) -> Path:
    """The CSV of a data set given as that CSV or as the folder that holds it.

    Raises:
        InputError: there is no such file or folder, or not exactly one fitting CSV in it.
    """
    path = Path(path)
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(f"{path}: no such file or folder; give a manifest CSV or a folder with one")
    tables = sorted(file for file in path.iterdir() if file.suffix.lower() == ".csv")
    if not tables:
        raise InputError(
            f"{path}: no CSV in this folder; it needs one with `id, boneage, male` beside a folder of images"
        )
    fitting = [file for file in tables if _is_labels(file)] if len(tables) > 1 else tables
    if len(fitting) != 1:
        names = ", ".join(file.name for file in fitting or tables)
        raise InputError(f"{path}: which CSV lists the hands? ({names}); give that file itself")
    return fitting[0]


def _is_labels(path: Path) -> bool:
    try:
        columns = set(_read_table(path).columns)
    except InputError:
        return False
    return "boneage" in columns and bool(columns & {"id", "path"})


def _read_table(path: Path) -> pd.DataFrame:
    table, separator = (read_parquet_table if path.suffix.lower() == ".parquet" else read_text_table)(path)
    names = [" ".join(str(name).split()).lower() for name in table.columns]
    table.columns = pd.Index([_ALIASES.get(name, name) for name in names])
    if not table.columns.is_unique:
        raise InputError(f"{path}: two columns are named `{table.columns[table.columns.duplicated()][0]}`; keep one")
    if table.empty:
        raise InputError(f"{path}: no rows; a manifest lists one image a row")
    for name in table.columns.difference(["path", "id"]):  # a file may be called NA
        table[name] = table[name].mask(table[name].str.lower().isin(MISSING), None)
    if "path" in table:  # as our own tables write a name that a spreadsheet would take for a formula
        table["path"] = table["path"].str.replace(r"^'(?=[=+@\t\r-])", "", regex=True)
    if separator != ",":
        for name in table.columns.intersection(list(_NUMBERS)):
            table[name] = table[name].str.replace(",", ".")
    return table


def _normalise(table: pd.DataFrame, source: Path, labels: bool) -> pd.DataFrame:
    _refuse_missing(table["id"], "id", source)
    twice = table.index[table["id"].duplicated()]
    if len(twice):
        raise InputError(f"{source}: row {_row(twice[0])}: id {table['id'][twice[0]]} comes twice; ids must be unique")
    frame = pd.DataFrame({"id": table["id"].astype(object), "path": table["path"].astype(object)})
    frame["sex"] = _sexes(table, source)
    for name, (least, most) in _RANGES.items():
        frame[name] = _numbers(table, name, least, most, source)
    for name in _DATES:
        frame[name] = _dates(table, name, source)
    for name in _AGES:
        frame[name] = _months(table, frame[name], name, source, labels)
    for name in KEPT_COLUMNS:
        if name in table:
            frame[name] = table[name]
    return frame


def _sexes(table: pd.DataFrame, source: Path) -> pd.Series:
    name = "sex" if "sex" in table else "male"
    if name not in table:
        return pd.Series(None, index=table.index, dtype=object)
    words = _SEXES | ({"1": "M", "0": "F"} if name == "male" else {})
    given = table[name]
    sexes = given.str.lower().map(words).astype(object)
    unknown = table.index[sexes.isna() & given.notna()]
    if len(unknown):
        raise InputError(
            f"{source}: row {_row(unknown[0])}: {name} is {given[unknown[0]]!r}; write M, F, male or female"
        )
    return sexes.where(sexes.notna(), None)


def _dates(table: pd.DataFrame, name: str, source: Path) -> pd.Series:
    if name not in table:
        return pd.Series([None] * len(table), index=table.index, dtype=object)
    dates: list[object] = []
    for index, text in table[name].items():
        try:
            dates.append(None if pd.isna(text) else parse_date(text))
        except InputError as error:
            raise InputError(f"{source}: row {_row(index)}: {name} is {error}") from None
    return pd.Series(dates, index=table.index, dtype=object)


def _numbers(table: pd.DataFrame, name: str, least: float, most: float, source: Path) -> pd.Series:
    if name not in table:
        return pd.Series(float("nan"), index=table.index)
    numbers = pd.to_numeric(table[name], errors="coerce").astype(float)
    wrong = table.index[table[name].notna() & ~numbers.between(least, most)]
    if len(wrong):
        value = table[name][wrong[0]]
        raise InputError(
            f"{source}: row {_row(wrong[0])}: {name} is {value!r}; it must be a number from {least:g} to {most:g}"
        )
    return numbers


def _months(table: pd.DataFrame, stated: pd.Series, name: str, source: Path, labels: bool) -> pd.Series:
    """Ages in months from a column that says its unit, or from one that does not but looks like months."""
    months, years = f"{name}_months", f"{name}_years"
    most = _RANGES[name][1]
    given = [column for column in (name, months, years) if column in table]
    if len(given) > 1:
        raise InputError(f"{source}: `{given[0]}` and `{given[1]}` say the same; keep one")
    if months in table:
        return _numbers(table, months, 0, most, source)
    if years in table:
        return _numbers(table, years, 0, most / 12, source) * 12
    if labels and stated.count() >= _FEW and stated.max() <= _OLDEST_YEARS:
        raise InputError(
            f"{source}: {name} looks like years (the largest of {stated.count()} is {stated.max():g}); name the column "
            f"`{years}` if it is, and `{months}` if it is not"
        )
    return stated


def _images_of(folder: Path, ids: set[str], name: str | None = None) -> dict[str, Path]:
    """Images by id, from the one folder (of that name) at most two levels down that has images of the most ids."""
    folders = [folder, *folder.glob("*/"), *folder.glob("*/*/")]
    folders = [candidate.absolute() for candidate in sorted(folders) if candidate.is_dir()]
    found = [_images_in(candidate, ids) for candidate in folders if name in (None, candidate.name)]
    return max(found, key=len, default={})


def _images_in(folder: Path, ids: set[str]) -> dict[str, Path]:
    files = (file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES)
    return {file.stem: file for file in files if file.stem in ids}


def _require(table: pd.DataFrame, column: str, source: Path) -> None:
    if column not in table:
        raise InputError(f"{source}: no `{column}` column; it has {', '.join(map(str, table.columns))}")


def _refuse_missing(values: pd.Series, name: str, source: Path) -> None:
    rows = values.index[values.isna()]
    if len(rows):
        raise InputError(f"{source}: row {_row(rows[0])}: {name} is empty")


def _refuse_missing_images(missing: Iterable[Path], images: int, source: Path) -> None:
    names = list(missing)
    if names:
        raise InputError(
            f"{source}: {len(names)} of {images} images are missing, the first is {names[0]}; add them or drop the rows"
        )


def _row(index: object) -> int:
    """The row as a spreadsheet counts it: the header is row 1."""
    return int(str(index)) + 2
