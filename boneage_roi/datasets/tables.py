"""Tables as people save them: commas, semicolons or tabs, UTF-8 or UTF-16, with or without a mark at the start."""

import codecs
import re
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

import pandas as pd

from boneage_roi.errors import InputError

MISSING = frozenset({"na", "n/a", "#n/a", "nan", "<na>", "null", "none"})
"""Words that statistics programs write for a missing value, in lower case."""

_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def read_text_table(path: Path) -> tuple[pd.DataFrame, str]:
    """Read a table of text cells; an empty cell is missing.

    Returns:
        The table, with the columns' names as they stand, and what separates its cells: ",", ";" or a tab.

    Raises:
        InputError: no such file, no table, or of no encoding that is known.
    """
    try:
        text = _decode(path.read_bytes(), path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from None
    hint = re.match(r"sep=(.)\r?\n", text)  # what Excel itself understands
    separator = hint[1] if hint else _separator(text)
    try:
        table = pd.read_csv(
            StringIO(text[hint.end() :] if hint else text),
            sep=separator,
            dtype=str,
            skipinitialspace=separator != "\t",
            keep_default_na=False,
            na_values=[""],
        )
    except (ValueError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise InputError(f"{path}: not a readable CSV ({str(error).splitlines()[0]})") from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first cells for an index
        raise InputError(f"{path}: rows have more cells than the heading; name every column")
    return table.apply(lambda column: column.str.strip().replace("", None)), separator


def read_parquet_table(path: Path) -> tuple[pd.DataFrame, str]:
    """Read a Parquet file as a table of text cells, as :func:`read_text_table` does.

    Raises:
        InputError: no such file, no Parquet, or pyarrow is not there.
    """
    if find_spec("pyarrow") is None:
        raise InputError(f'{path}: needs pyarrow; install it with: pip install "boneage-roi[archive]"')
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:  # pyarrow's own errors are such
        raise InputError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None
    texts = table.astype(object).where(table.notna(), None)
    return texts.apply(lambda column: column.map(_cell_text, na_action="ignore")), ","


def _cell_text(cell: object) -> str | None:
    return str(cell).strip() or None


def _decode(data: bytes, path: Path) -> str:
    if data.startswith(_WORKBOOKS):
        raise InputError(f"{path}: is a workbook; save it as CSV UTF-8")
    marked = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if marked else "utf-16-le" if data[1:2] == b"\0" else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a readable CSV (it is not UTF-8 text); save it as CSV UTF-8") from None
    if "\0" in text:
        raise InputError(f"{path}: not a readable CSV (it is no text); save it as CSV UTF-8")
    return text


def _separator(text: str) -> str:
    """What the heading has most of, outside quotes."""
    heading = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    return max(",;\t", key=heading.count)
