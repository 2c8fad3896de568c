"""The rooms of the package stand on one another in rows: imports run downward, and not between rooms of one row."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "boneage_roi"

ROWS = (
    {"errors", "ages", "regions", "values", "files", "metrics", "onnx_check", "onnx_session", "progress"},
    {"configs", "imaging"},
    {"datasets", "learning"},
    {"runs"},
    {"segmentation", "aspect", "detection", "quality", "regional_models", "fusion"},
    {"pipeline"},
    {"explain", "growth"},
    {"outputs"},
    {"training", "reports"},
    {"service"},
    {"cli"},
)
"""From the ground up. The modules of the ground may know each other; a room is a folder or a module."""

ROW = {room: row for row, rooms in enumerate(ROWS) for room in rooms}

TRAINING_WORLD = {"learning", "runs", "training"}
TRAINING_PACKAGES = {"torch", "lightning", "timm", "ultralytics", "lightgbm", "sklearn", "segmentation_models_pytorch"}


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file names in an import, wherever in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
        elif isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno


def upward(package: Path) -> list[str]:
    """Each import that breaks the rule, with its place."""
    found = []
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        room = inside.parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue  # the face hands names on
        for module, line in imports(path):
            parts = module.split(".")
            if parts[0] != "boneage_roi" or len(parts) == 1 or parts[1] == room:
                continue
            here, there = ROW.get(room), ROW.get(parts[1])
            where = f"{inside}:{line} imports {module}"
            if here is None or there is None:
                found.append(f"{where}: {room if here is None else parts[1]} stands in no row")
            elif there > here:
                found.append(f"{where}: upward")
            elif there == here and here > 0:
                found.append(f"{where}: between rooms of one row")
            elif inside.name == "runtime.py" and parts[1] in TRAINING_WORLD:
                found.append(f"{where}: a runtime imports the training world")
    return found


def test_imports_run_downward() -> None:
    assert upward(PACKAGE) == []


@pytest.mark.parametrize(
    ("file", "line", "word"),
    [
        ("imaging/frame.py", "from boneage_roi.pipeline.bundle import Bundle", "upward"),
        ("detection/labels.py", "    import boneage_roi.fusion.model", "one row"),
        ("fusion/runtime.py", "from boneage_roi.runs.run import Run", "training world"),
        ("attic/box.py", "from boneage_roi.errors import InputError", "no row"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, file: str, line: str, word: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(line.strip() + "\n")
    (only,) = upward(tmp_path)
    assert word in only
    assert file in only


def test_what_prediction_uses_imports_no_package_of_the_training() -> None:
    for path in PACKAGE.rglob("runtime.py"):
        used = {module.split(".")[0] for module, _ in imports(path)}
        assert not used & TRAINING_PACKAGES, path
