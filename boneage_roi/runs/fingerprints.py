"""What a stage was made of, kept beside what it made, and whether that still fits the run's settings and data.

``fingerprint.json`` in a stage's folder is written when the stage begins: its settings, and a hash of each input. When
it is finished the hashes of what it made are added, and these are what a later stage records as its input.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import boneage_roi
from boneage_roi.files import write_atomically
from boneage_roi.runs import layout, plan

if TYPE_CHECKING:
    from boneage_roi.runs.run import Run

HAND_COLUMNS = ["id", "sex", "boneage", "width", "height", "split"]


class Fingerprints:
    """What the stages of a run are made of, now and when they were made; asks for each hash once."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._reasons: dict[str, str | None] = {}

    def now(self, stage: str) -> dict[str, Any]:
        """The settings and inputs that a stage would be made of today."""
        recipe = plan.recipe(self._config, stage)
        return {"settings": recipe.settings, "inputs": {name: self._input(name) for name in recipe.inputs}}

    def why_stale(self, stage: str) -> str | None:
        """What of a stage that was begun, or of what it was made of, has changed since; None when it fits."""
        if stage not in self._reasons:
            self._reasons[stage] = self._why_stale(stage)
        return self._reasons[stage]

    def _why_stale(self, stage: str) -> str | None:
        made = self._run.record(stage)
        if made is None:
            return "it is of a version that did not record what it was made of" if self._run.begun(stage) else None
        now = self.now(stage)
        if (change := setting_change(plan.completed(made["settings"]), now["settings"])) is not None:
            return change
        for name, value in now["inputs"].items():
            earlier = name in layout.STAGES or "/" in name
            if earlier and (reason := self.why_stale(name)) is not None:
                return f"{plan.title(name)} no longer fits: {reason}" if name in _TRAINED else reason
            before = made["inputs"].get(name)
            if before != value and not (name == plan.START and None in (before, value)):
                return _input_change(name, before, value)
        return None

    def _input(self, name: str) -> Any:
        if name == plan.HANDS:
            return self._hands
        if name == plan.IMAGES:
            return self._images
        if name == plan.ANNOTATIONS:
            return self._annotations
        if name == plan.START:
            return self._start
        made = self._run.record(name)
        return None if made is None else digest(json.dumps(made, sort_keys=True))

    @cached_property
    def _config(self) -> Any:
        return self._run.config

    @cached_property
    def _manifest(self) -> pd.DataFrame:
        return self._run.manifest

    @cached_property
    def _hands(self) -> dict[str, Any]:
        table = self._manifest.reindex(columns=HAND_COLUMNS)
        return {"images": len(table), "table": digest(table.to_csv(index=False))}

    @cached_property
    def _images(self) -> str:
        known = self._run.images
        current = image_records(list(self._manifest["path"]), known)
        return digest("".join(f"{key}\0{sha}\n" for key, sha in zip(self._manifest["id"], current.sha256, strict=True)))

    @cached_property
    def _annotations(self) -> str:
        folder = self._run.path / layout.ANNOTATIONS
        files = [folder / name for name in layout.ANNOTATION_FILES]
        return digest("".join(f"{path.name}\0{file_digest(path)}\n" for path in files if path.is_file()))

    @cached_property
    def _start(self) -> str | None:
        """The bundle to go on from, by its manifest, which vouches for every file; None when it is gone."""
        start = self._config.start
        shipped = Path(boneage_roi.__file__).parent / "bundles" / "default"
        path = (shipped if start == "default" else Path(start)) / "manifest.json"
        return file_digest(path) if path.is_file() else None


_TRAINED = (layout.SEGMENTER, layout.DETECTOR, layout.FUSION, layout.QUALITY)


def image_records(paths: list[str], known: pd.DataFrame) -> pd.DataFrame:
    """Size, time and SHA-256 of image files; a file whose size and time are known already is not read again.

    Args:
        paths: of N images. One that is gone keeps what is known of it: nothing replaced it.
        known: ``path, bytes, mtime_ns, sha256`` of files, as an earlier call gave them.

    Returns:
        The same columns, a row a path; empty hashes for files that are gone and were never known.
    """
    before = {row[0]: row for row in known[["path", "bytes", "mtime_ns", "sha256"]].itertuples(index=False, name=None)}
    rows = []
    for name in paths:
        row, path = before.get(name), Path(name)
        try:
            status = path.stat()
        except OSError:
            rows.append(row or (name, 0, 0, ""))
            continue
        if row is None or row[1:3] != (status.st_size, status.st_mtime_ns):
            row = (name, status.st_size, status.st_mtime_ns, file_digest(path))
        rows.append(row)
    return pd.DataFrame(rows, columns=["path", "bytes", "mtime_ns", "sha256"])


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Keep what a stage is made of."""
    write_atomically(path, json.dumps(record, indent=2, sort_keys=True) + "\n")


def digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def setting_change(before: Any, after: Any, where: str = "") -> str | None:
    """The first setting that differs: "regions.carpal.margin is 0.8 and was 0.1"; None when none does."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in [*before, *(key for key in after if key not in before)]:
            change = setting_change(before.get(key), after.get(key), f"{where}.{key}" if where else key)
            if change is not None:
                return change
        return None
    return None if before == after else f"{where} is {json.dumps(after)} and was {json.dumps(before)}"


def _input_change(name: str, before: Any, after: Any) -> str:
    if name == plan.HANDS:
        counts = [None if value is None else value["images"] for value in (before, after)]
        if counts[0] != counts[1]:
            return f"the run has {counts[1]} images and had {counts[0]}"
        return "ages, sexes, sizes or splits of hands changed"
    words = {
        plan.IMAGES: "images of hands were replaced",
        plan.ANNOTATIONS: "the annotations changed",
        plan.START: "the bundle that it starts from changed",
    }
    return words.get(name, f"{plan.title(name)} changed since")
