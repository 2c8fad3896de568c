"""The folder of one training run: where each stage keeps its files, and whether it is done and still fits."""

import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.learning.devices import ONE_DEVICE, Devices
from boneage_roi.runs import layout, plan
from boneage_roi.runs.fingerprints import HAND_COLUMNS, Fingerprints, file_digest, write_record

BOX_COLUMNS = ["id", "source", "label", "xmin", "ymin", "xmax", "ymax"]
IMAGE_COLUMNS = ["path", "bytes", "mtime_ns", "sha256"]


@dataclass(frozen=True)
class Run:
    """``runs/<name>/``: ``config.yaml``, ``manifest.csv``, a folder a stage, ``bundle/``.

    Attributes:
        path: the folder.
        devices: what its networks are trained on from here; no part of what a stage is made of.
    """

    path: Path
    devices: Devices = ONE_DEVICE

    @property
    def config(self) -> TrainConfig:
        """The run's settings, as they were when it was prepared last."""
        return TrainConfig.load(self._existing(layout.CONFIG))

    @property
    def manifest(self) -> pd.DataFrame:
        """The prepared hands: ``id, path, sex, boneage, width, height, split`` ..., one row a hand.

        Raises:
            InputError: the run is not prepared, or its table is not one that ``prepare`` wrote.
        """
        path = self._existing(layout.MANIFEST)
        try:
            table = pd.read_csv(path, dtype={"id": str, "path": str})
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a readable table ({str(error).splitlines()[0]}); {_AGAIN}") from None
        missing = [name for name in ("path", *HAND_COLUMNS) if name not in table]
        if missing or table.empty:
            what = f"no `{missing[0]}` column" if missing else "no rows"
            raise InputError(f"{path}: {what}; `boneage-roi prepare` did not write this table: {_AGAIN}")
        return table

    @property
    def images(self) -> pd.DataFrame:
        """``path, bytes, mtime_ns, sha256`` of every image when the run was prepared; empty when nobody looked."""
        try:
            return pd.read_csv(self.path / layout.IMAGES, dtype={"path": str, "sha256": str})[IMAGE_COLUMNS]
        except (OSError, ValueError, KeyError):
            return pd.DataFrame(columns=IMAGE_COLUMNS)

    def annotated(self, name: str) -> dict[str, Any]:
        """What ``keypoints.json`` or ``polygons.json`` says of each hand; nothing when nobody drew any.

        Raises:
            InputError: it is not what ``prepare`` wrote.
        """
        path = self.path / layout.ANNOTATIONS / name
        return _read_json(path, f"{path}: damaged; {_AGAIN}") or {}

    @property
    def annotated_boxes(self) -> pd.DataFrame:
        """The boxes of ``boxes.csv``: ``id, source, label`` and corners.

        Raises:
            InputError: it is not what ``prepare`` wrote.
        """
        path = self.path / layout.ANNOTATIONS / "boxes.csv"
        try:
            return pd.read_csv(path, dtype={"id": str})[BOX_COLUMNS]
        except (OSError, ValueError, KeyError):
            raise InputError(f"{path}: damaged; {_AGAIN}") from None

    @property
    def bundle(self) -> Path:
        """Where ``export`` writes the bundle."""
        return self.path / layout.BUNDLE

    def write_config(self, config: TrainConfig) -> None:
        """Keep the settings that this run is to follow from now on."""
        write_atomically(self.path / layout.CONFIG, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def stage(self, name: str) -> Path:
        """The folder of a stage, made when it is missing."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def network(self, stage: str) -> Path:
        """The exported network of a stage."""
        return self.path / layout.network_file(stage)

    def metrics(self, stage: str) -> dict[str, Any] | None:
        """What a stage measured, whether it still fits or not; None while it is not finished.

        Raises:
            InputError: the file was damaged.
        """
        path = self.path / stage / layout.METRICS
        return _read_json(path, _damaged(path, stage, self.path))

    def record(self, stage: str) -> dict[str, Any] | None:
        """What a stage was made of: ``settings``, ``inputs`` and, once it is finished, ``outputs``."""
        path = self.path / stage / layout.FINGERPRINT
        record = _read_json(path, _damaged(path, stage, self.path))
        if record is not None and not record.keys() >= {"settings", "inputs"}:
            raise InputError(_damaged(path, stage, self.path))
        return record

    def begun(self, stage: str) -> bool:
        """Whether a stage has files."""
        folder = self.path / stage
        return folder.is_dir() and any(folder.iterdir())

    def begin(self, stage: str) -> dict[str, Any] | None:
        """Start or go on with a stage whose inputs are there, unless it is finished.

        Returns:
            What it measured when it is finished, else None.

        Raises:
            InputError: it was begun with other settings or inputs.
        """
        self.refuse_stale(stage)
        if (metrics := self.metrics(stage)) is not None:
            return metrics
        if self.record(stage) is None:
            write_record(self.path / stage / layout.FINGERPRINT, Fingerprints(self).now(stage))
        return None

    def begin_anew(self, stage: str) -> bool:
        """Start a stage that is made without a training; it is thrown away when it no longer fits.

        Returns:
            Whether there is anything to do.
        """
        fingerprints = Fingerprints(self)
        try:
            if fingerprints.why_stale(stage) is None and self.metrics(stage) is not None:
                return False
        except InputError:
            pass  # damaged
        self.clear(stage)
        write_record(self.path / stage / layout.FINGERPRINT, fingerprints.now(stage))
        return True

    def finish(self, stage: str, metrics: dict[str, Any], outputs: Iterable[str] = ()) -> None:
        """Mark a stage as done; ``outputs`` are the files of its folder that later stages rest on."""
        record = self.record(stage) or Fingerprints(self).now(stage)
        folder = self.path / stage
        made = {name: file_digest(folder / name) for name in outputs}
        write_record(folder / layout.FINGERPRINT, {**record, "outputs": made})
        write_atomically(folder / layout.METRICS, json.dumps(metrics, indent=2) + "\n")

    def clear(self, stage: str) -> None:
        """Throw away all that a stage made."""
        (self.path / stage / layout.METRICS).unlink(missing_ok=True)  # first: half a stage is not a finished one
        shutil.rmtree(self.path / stage, ignore_errors=True)

    def refuse_stale(self, stage: str, fingerprints: Fingerprints | None = None) -> None:
        """Do nothing when a stage is missing or fits.

        Raises:
            InputError: it no longer fits the run's settings or data.
        """
        if (reason := (fingerprints or Fingerprints(self)).why_stale(stage)) is not None:
            again = f"boneage-roi {plan.command(stage)} --run {self.path} --retrain"
            raise InputError(f"{self.path}: {plan.title(stage)} no longer fits: {reason}; `{again}` trains it anew")

    def require(self, *stages: str) -> list[dict[str, Any]]:
        """What finished stages measured.

        Raises:
            InputError: one of them is not trained yet, or no longer fits.
        """
        fingerprints, found = Fingerprints(self), []
        for stage in stages:
            if (metrics := self.metrics(stage)) is None:
                command = f"boneage-roi {plan.command(stage)} --run {self.path}"
                raise InputError(f"{self.path}: {plan.title(stage)} is not trained yet; run `{command}` first")
            self.refuse_stale(stage, fingerprints)
            found.append(metrics)
        return found

    def _existing(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise InputError(f"{self.path}: not a run folder ({name} is missing); start with `boneage-roi prepare`")
        return path


_AGAIN = "prepare the run again"


def _read_json(path: Path, damaged: str) -> dict[str, Any] | None:
    """An object of a run's folder; None when the file is missing.

    Raises:
        InputError: it is none; the message is ``damaged``.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise InputError(damaged) from None
    if not isinstance(content, dict):
        raise InputError(damaged)
    return content


def _damaged(path: Path, stage: str, run: Path) -> str:
    return f"{path}: damaged; `boneage-roi {plan.command(stage)} --run {run} --retrain` trains the stage anew"
