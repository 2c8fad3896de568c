"""The bundle: one folder of exported networks, and the manifest that says what they are and vouches for every file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from boneage_roi import __version__
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.regions import Region

SCHEMA_VERSION: Final = 4
DEFAULT_BUNDLE = Path(__file__).parents[1] / "bundles" / "default"
MANIFEST = "manifest.json"

Pixels = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern="^[!-~]+$")]


class RegionSpec(BaseModel):
    """How a region's network was trained to see its crops.

    Attributes:
        size: (height, width) of one crop, pixels.
        margin: share of the box's size added on every side before cropping.
        features: length of the pooled feature vector.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: tuple[Pixels, Pixels]
    margin: Annotated[float, Field(ge=0)]
    features: Pixels


class BundleManifest(BaseModel):
    """``manifest.json``: what the bundle is, what it was trained on and reached, and the hash of every file.

    Attributes:
        frame_size: (height, width) of the hand frame, pixels.
        segmenter_size: side of the segmenter's square input, pixels.
        detector_size: longer side of the detector's input, pixels.
        metrics: what was measured, each with the split that it was measured on.
        files: SHA-256 of every file, by its path relative to the bundle, with forward slashes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[4] = SCHEMA_VERSION
    name: Annotated[str, Field(min_length=1)]
    created: datetime
    package_version: str
    regions: dict[Region, RegionSpec]
    frame_size: tuple[Pixels, Pixels]
    segmenter_size: Pixels
    detector_size: Pixels
    training_data: str
    license_note: str
    metrics: dict[str, Any]
    files: dict[FileName, Sha256]


def bundle_files(regions: Mapping[Region, RegionSpec]) -> tuple[str, ...]:
    """The files that a bundle of these regions must have, beside its manifest."""
    return (
        "segmenter.onnx",
        "detector.onnx",
        *(f"regions/{region}.onnx" for region in Region if region in regions),
        "rb_fcl.onnx",
        "fusion.onnx",
        "intervals.json",
        "quality.json",
        "MODEL_CARD.md",
    )


@dataclass(frozen=True)
class Bundle:
    """A bundle that has been checked."""

    path: Path
    manifest: BundleManifest

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """Open a bundle and check every file of it.

        Args:
            path: the bundle's folder; None is the one that comes with the package.

        Raises:
            InputError: no such folder, no valid manifest, a newer schema, or a file that is missing, altered or outside
                the folder.
        """
        folder = DEFAULT_BUNDLE if path is None else Path(path)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such bundle folder; `boneage-roi export RUN` makes one")
        manifest = _read_manifest(folder / MANIFEST)
        unlisted = [name for name in bundle_files(manifest.regions) if name not in manifest.files]
        if unlisted:
            raise InputError(f"{folder / MANIFEST}: {unlisted[0]} is not listed; export the bundle again")
        for name, expected in manifest.files.items():
            _check_file(folder, name, expected)
        return cls(folder, manifest)

    def file(self, name: str) -> Path:
        """Path of one of the bundle's files, such as ``regions/carpal.onnx``."""
        if name not in self.manifest.files:
            raise InputError(f"{self.path}: the bundle holds no {name}")
        return self.path / name

    def bytes(self, name: str) -> int:
        """Size of one of the bundle's files."""
        return self.file(name).stat().st_size


def write_bundle_manifest(
    folder: Path,
    *,
    name: str,
    regions: Mapping[Region, RegionSpec],
    frame_size: tuple[int, int],
    segmenter_size: int,
    detector_size: int,
    training_data: str,
    license_note: str,
    metrics: Mapping[str, Any],
) -> BundleManifest:
    """Hash the files of a finished bundle and write its manifest, last and atomically.

    Raises:
        InputError: a file of the bundle is missing.
    """
    files = {}
    for file in bundle_files(regions):
        if not (folder / file).is_file():
            raise InputError(f"{folder}: {file} is missing; the bundle is not complete")
        files[file] = _sha256(folder / file)
    manifest = BundleManifest(
        name=name,
        created=datetime.now(UTC).replace(microsecond=0),
        package_version=__version__,
        regions={region: regions[region] for region in Region if region in regions},
        frame_size=frame_size,
        segmenter_size=segmenter_size,
        detector_size=detector_size,
        training_data=training_data,
        license_note=license_note,
        metrics=dict(metrics),
        files=files,
    )
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def _read_manifest(path: Path) -> BundleManifest:
    if not path.is_file():
        raise InputError(f"{path.parent}: not a bundle ({MANIFEST} is missing)")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError):  # bad JSON or bad UTF-8, or brackets without end
        raise InputError(f"{path}: not valid JSON; copy or export the bundle again") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema {version} is newer than this boneage-roi reads ({SCHEMA_VERSION}); "
            "upgrade with `pip install -U boneage-roi`"
        )
    if isinstance(version, int) and version < SCHEMA_VERSION:
        raise InputError(f"{path}: schema {version} is older than this boneage-roi reads; export the bundle again")
    try:
        return BundleManifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = " ".join(".".join(str(part) for part in first["loc"]).split()) or "manifest"
        raise InputError(f"{path}: {where}: {first['msg']}") from None


def _check_file(folder: Path, name: str, expected: str) -> None:
    relative, path = PurePosixPath(name), folder / name
    outside = relative.is_absolute() or ".." in relative.parts or "\\" in name or ":" in name
    if outside or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder / MANIFEST}: {name} lies outside the bundle's folder; do not use this bundle")
    if not path.is_file():
        raise InputError(f"{folder}: {name} is missing; copy or export the bundle again")
    if _sha256(path) != expected:
        raise InputError(
            f"{path}: SHA-256 differs from {MANIFEST}; the file was changed, copy or export the bundle again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
