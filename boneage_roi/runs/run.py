"""The folder of one training run: where each stage keeps its files and how it says that it is done."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically


@dataclass(frozen=True)
class Run:
    """``runs/<name>/``: ``config.yaml``, ``manifest.csv``, a folder a stage, ``bundle/``."""

    path: Path

    @property
    def config(self) -> TrainConfig:
        """The run's settings, as they were when it was prepared."""
        return TrainConfig.load(self._existing("config.yaml"))

    @property
    def manifest(self) -> pd.DataFrame:
        """The prepared hands: ``id, path, sex, boneage, width, height, split`` ..., one row a hand."""
        return pd.read_csv(self._existing("manifest.csv"), dtype={"id": str, "path": str})

    @property
    def bundle(self) -> Path:
        """Where ``export`` writes the bundle."""
        return self.path / "bundle"

    def write_config(self, config: TrainConfig) -> None:
        """Keep the settings that this run was started with."""
        write_atomically(self.path / "config.yaml", yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))

    def stage(self, name: str) -> Path:
        """The folder of a stage, made when it is missing."""
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def metrics(self, stage: str) -> dict[str, Any] | None:
        """What a finished stage measured; None while it is not finished (``metrics.json`` is written last)."""
        path = self.path / stage / "metrics.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def finish(self, stage: str, metrics: dict[str, Any]) -> None:
        """Mark a stage as done."""
        write_atomically(self.path / stage / "metrics.json", json.dumps(metrics, indent=2) + "\n")

    def _existing(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise InputError(f"{self.path}: not a run folder ({name} is missing); start with `boneage-roi prepare`")
        return path
