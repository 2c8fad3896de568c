"""The bundle: one folder of exported networks, and the manifest that says what they are and vouches for every file."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any, Self

from pydantic import ValidationError

from boneage_roi import __version__
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.fusion.maturity import MATURITY_FILE
from boneage_roi.pipeline.manifest import MANIFEST, BundleManifest, read_manifest
from boneage_roi.regional_models.bones import BONES_FILE

DEFAULT_BUNDLE = Path(__file__).parents[1] / "bundles" / "default"

LARGEST_FILE = 512 * 2**20
"""Bytes; a file of a bundle that is larger is refused before it is read."""


@dataclass(frozen=True)
class Bundle:
    """A bundle that has been checked."""

    path: Path
    manifest: BundleManifest

    @classmethod
    def load(cls, path: str | Path | None = None) -> Self:
        """Open a bundle and check every file of it.

        Args:
            path: the bundle's folder; None is the shipped one.

        Raises:
            InputError: no such folder, no valid manifest, a newer schema, a file that is missing, altered, too large or
                outside the folder, or one that the manifest does not list.

        >>> Bundle.load().manifest.regions[0]
        'hand'
        """
        folder = DEFAULT_BUNDLE if path is None else Path(path)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such bundle folder; `boneage-roi export RUN` makes one")
        manifest = read_manifest(folder / MANIFEST)
        unlisted = [name for name in manifest.needed_files if name not in manifest.files]
        if unlisted:
            raise InputError(f"{folder / MANIFEST}: {unlisted[0]} is not listed; export the bundle again")
        for name, expected in manifest.files.items():
            _check_file(folder, name, expected)
        _refuse_strangers(folder, manifest)
        return cls(folder, manifest)

    def file(self, name: str) -> Path:
        """Path of one of the bundle's files, such as ``regions/carpal.onnx``."""
        if name not in self.manifest.files:
            raise InputError(f"{self.path}: the bundle holds no {name}")
        return self.path / name

    def bytes(self, name: str) -> int:
        """Size of one of the bundle's files."""
        return self.file(name).stat().st_size

    @property
    def fingerprint(self) -> str:
        """The start of the manifest's SHA-256: it vouches for every file."""
        return _sha256(self.path / MANIFEST)[:12]


def write_bundle_manifest(folder: Path, **fields: Any) -> BundleManifest:
    """Hash the files of a finished bundle and write its manifest, last and atomically.

    Args:
        folder: holds the files.
        fields: of :class:`BundleManifest`, but ``created``, ``package_version`` and ``files``.

    Raises:
        InputError: a file of the bundle is missing, or a field is wrong.
    """
    made: dict[str, Any] = {"created": datetime.now(UTC).replace(microsecond=0), "package_version": __version__}
    try:
        draft = BundleManifest(**fields, **made, files={})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{folder}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    files = {}
    for file in draft.needed_files:
        if not (folder / file).is_file():
            raise InputError(f"{folder}: {file} is missing; the bundle is not complete")
        files[file] = _sha256(folder / file)
    for name in (BONES_FILE, MATURITY_FILE):  # a bundle may do without
        if (folder / name).is_file():
            files[name] = _sha256(folder / name)
    manifest = draft.model_copy(update={"files": files})
    write_atomically(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def _check_file(folder: Path, name: str, expected: str) -> None:
    relative, path = PurePosixPath(name), folder / name
    outside = relative.is_absolute() or ".." in relative.parts or "\\" in name or ":" in name
    if outside or not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder / MANIFEST}: {name} lies outside the bundle's folder; do not use this bundle")
    if not path.is_file():
        raise InputError(f"{folder}: {name} is missing; copy or export the bundle again")
    if path.stat().st_size > LARGEST_FILE:
        raise InputError(f"{path}: larger than {LARGEST_FILE // 2**20} MB; do not use this bundle")
    if _sha256(path) != expected:
        raise InputError(
            f"{path}: SHA-256 differs from {MANIFEST}; the file was changed, copy or export the bundle again"
        )


def _refuse_strangers(folder: Path, manifest: BundleManifest) -> None:
    """A file that nobody vouches for could be a network's external data, and be changed unseen."""
    listed = {*manifest.files, MANIFEST}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and name not in listed and not path.name.startswith("."):
            raise InputError(f"{path}: not listed in {MANIFEST}; take it out, or copy the bundle again")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
