"""Boxes as YOLO: a text file an image, ``class x-centre y-centre width height`` a line, in 0..1 of the image.

The classes' names are in data.yaml or classes.txt.
"""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml

from boneage_roi.datasets.formats.boxes_csv import Row, boxes_frame
from boneage_roi.errors import InputError

NAME_FILES = ("data.yaml", "data.yml", "dataset.yaml", "classes.txt", "obj.names")


def read_yolo(folder: Path) -> pd.DataFrame:
    """Read a folder of YOLO label files, also from folders in it; the text file's name is the id.

    Args:
        folder: holds the .txt files and data.yaml or classes.txt; the names may also lie one folder up.

    Returns:
        ``id, label, xmin, ymin, xmax, ymax``, corners in 0..1.

    Raises:
        InputError: no labels, no class names, or a malformed line.
    """
    names = _class_names(folder)
    files = [file for file in sorted(folder.rglob("*.txt")) if file.name not in NAME_FILES]
    if not files:
        raise InputError(f"{folder}: no YOLO .txt labels in this folder")
    return boxes_frame((row for file in files for row in _rows(file, names)), folder)


def _class_names(folder: Path) -> dict[int, str]:
    candidates = [parent / name for parent in (folder, folder.parent) for name in NAME_FILES]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise InputError(f"{folder}: no class names; put data.yaml or classes.txt beside the labels")
    try:
        text = path.read_text(encoding="utf-8")
        names = yaml.safe_load(text)["names"] if path.suffix in (".yaml", ".yml") else text.split("\n")
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(index): str(name).strip() for index, name in pairs if str(name).strip()}
    except (yaml.YAMLError, UnicodeDecodeError, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: no class names in it; YOLO's data.yaml has `names:` with a name a class") from None


def _rows(path: Path, names: dict[int, str]) -> Iterator[Row]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file") from None
    for line, text in enumerate(lines, start=1):
        if not text.strip():
            continue
        try:
            # A sixth number, where there is one, is the confidence of a predicted box.
            index, *words = text.split()[:5]
            x, y, width, height = (float(word) for word in words)
            label = names[int(index)]
        except ValueError:
            raise InputError(
                f"{path}: line {line}: must be `class x-centre y-centre width height`, got {text!r}"
            ) from None
        except KeyError:
            raise InputError(
                f"{path}: line {line}: class {index} has no name; there are {len(names)} classes"
            ) from None
        yield path.stem, label, x - width / 2, y - height / 2, x + width / 2, y + height / 2
