"""``manifest.json`` of a bundle, schema 5: what the system is made of, what it was trained on, every file's hash."""

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from boneage_roi.errors import InputError
from boneage_roi.fusion.kinds import FUSIONS
from boneage_roi.regional_models.crops import SIX_VIEWS
from boneage_roi.regions import REGIONS, find_region
from boneage_roi.values import AgeGrid

SCHEMA_VERSION: Final = 5
OLDEST_SCHEMA: Final = 4
MANIFEST = "manifest.json"

FUSION_FILES: dict[str, tuple[str, ...]] = {name: kind.files for name, kind in FUSIONS.items()}
"""What each way to fuse has in a bundle, beside ``intervals.json``."""


def _known_region(name: str) -> str:
    if name not in REGIONS:
        raise ValueError(f"unknown region {name!r}; known are {', '.join(REGIONS)}")
    return name


Pixels = Annotated[int, Field(ge=1, le=8192)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern="^[!-~]+$")]
RegionName = Annotated[str, AfterValidator(_known_region)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SegmenterSpec(_Part):
    """The hand segmenter; ``size`` is the side of its square input in pixels."""

    file: FileName = "segmenter.onnx"
    size: Pixels


class FinderSpec(_Part):
    """How regions come about.

    Attributes:
        kind: ``detector`` or ``whole-hand``, which finds nothing because only the whole frame is read.
        file: the network of a ``detector``.
        size: the longer side of its input, pixels.
        regions: what its classes are, in their order.
    """

    kind: Annotated[str, Field(min_length=1)]
    file: FileName | None = None
    size: Pixels | None = None
    regions: tuple[RegionName, ...] = ()


class AspectSpec(_Part):
    """The network that measures a hand's aspect.

    Attributes:
        limit: a hand that is wrong by more than this is taken for squashed; a natural logarithm of width over height.
    """

    file: FileName = "aspect.onnx"
    limit: Annotated[float, Field(gt=0, le=1)]


class NetworkSpec(_Part):
    """The network of a region, and how it was trained to see its crops.

    Attributes:
        region: which one.
        kind: the network's family and backbone, for people and for a training that goes on from it.
        size: (height, width) of one crop, pixels.
        margin: share of the box's size added on every side before cropping.
        features: length of the pooled feature vector.
    """

    region: RegionName
    kind: str = "tf_efficientnet_lite0"
    file: FileName
    size: tuple[Pixels, Pixels]
    margin: Annotated[float, Field(ge=0, le=10)]
    features: Pixels


class GridSpec(_Part):
    """The ages of every distribution: ``bins``, ``width`` months apart."""

    bins: Annotated[int, Field(ge=2, le=4096)] = 240
    width: Annotated[float, Field(gt=0, le=120)] = 1.0


class ViewSpec(_Part):
    """One look at a hand in test-time augmentation, see :class:`boneage_roi.regional_models.crops.View`."""

    mirrored: bool = False
    scale: Annotated[float, Field(gt=0.1, lt=10)] = 1.0
    degrees: Annotated[float, Field(ge=-180, le=180)] = 0.0


_SIX_VIEWS = tuple(ViewSpec(mirrored=view.mirrored, scale=view.scale, degrees=view.degrees) for view in SIX_VIEWS)


class FusionSpec(_Part):
    """How the regions' readings become one age: a name in ``FUSION_FILES``."""

    kind: Annotated[str, Field(min_length=1)]


class BundleManifest(_Part):
    """``manifest.json``.

    Attributes:
        frame_size: (height, width) of the hand frame, pixels.
        steps: what is done to every frame before regions are found, in order, see :mod:`boneage_roi.imaging.steps`.
        aspect: what measures whether a hand is squashed; None believes every image.
        networks: one a region, in the order in which the fusion was trained.
        views: what test-time augmentation looks at; the first is all that is looked at without it.
        metrics: what was measured, each with the split that it was measured on.
        files: SHA-256 of every file, by its path relative to the bundle, with forward slashes.
    """

    schema_version: Literal[5] = SCHEMA_VERSION
    name: Annotated[str, Field(min_length=1)]
    created: datetime
    package_version: str
    frame_size: tuple[Pixels, Pixels]
    steps: tuple[str, ...] = ()
    segmenter: SegmenterSpec
    aspect: AspectSpec | None = None
    finder: FinderSpec
    networks: Annotated[tuple[NetworkSpec, ...], Field(min_length=1)]
    grid: GridSpec = GridSpec()
    views: Annotated[tuple[ViewSpec, ...], Field(min_length=1)] = _SIX_VIEWS
    fusion: FusionSpec
    training_data: str
    license_note: str
    metrics: dict[str, Any]
    files: dict[FileName, Sha256]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [network.region for network in self.networks]
        if len(set(names)) < len(names):
            raise ValueError("a region has two networks")
        missing = [name for name in names if not find_region(name).whole and name not in self.finder.regions]
        if missing:
            raise ValueError(f"nothing finds the region {missing[0]}")
        if self.fusion.kind not in FUSION_FILES:
            raise ValueError(f"unknown fusion {self.fusion.kind!r}; known are {', '.join(FUSION_FILES)}")
        return self

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that are read, in order."""
        return tuple(network.region for network in self.networks)

    def network(self, region: str) -> NetworkSpec:
        """The network of a region.

        Raises:
            InputError: the bundle reads no such region.
        """
        for network in self.networks:
            if network.region == region:
                return network
        raise InputError(f"the bundle {self.name!r} reads no {region}; it reads {', '.join(self.regions)}")

    @property
    def age_grid(self) -> AgeGrid:
        """The ages of every distribution."""
        return AgeGrid(self.grid.bins, self.grid.width)

    @property
    def needed_files(self) -> tuple[str, ...]:
        """The files that a bundle of this shape must have, beside its manifest."""
        aspect = () if self.aspect is None else (self.aspect.file,)
        finder = () if self.finder.file is None else (self.finder.file,)
        networks = (network.file for network in self.networks)
        fusion = FUSION_FILES[self.fusion.kind]
        others = ("intervals.json", "quality.json", "MODEL_CARD.md")
        return (self.segmenter.file, *aspect, *finder, *networks, *fusion, *others)


def read_manifest(path: Path) -> BundleManifest:
    """Read ``manifest.json``, of schema 4 too.

    Raises:
        InputError: it is missing, malformed, or of a schema that this version does not read.
    """
    if not path.is_file():
        raise InputError(f"{path.parent}: not a bundle ({path.name} is missing)")
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
    if isinstance(version, int) and version < OLDEST_SCHEMA:
        raise InputError(f"{path}: schema {version} is older than this boneage-roi reads; export the bundle again")
    try:
        if version == OLDEST_SCHEMA:
            return BundleManifest.model_validate(_from_schema_4(_Schema4.model_validate(content)))
        return BundleManifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = " ".join(".".join(str(part) for part in first["loc"]).split()) or "manifest"
        raise InputError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}") from None


class _Spec4(_Part):
    size: tuple[Pixels, Pixels]
    margin: Annotated[float, Field(ge=0)]
    features: Pixels


class _Schema4(_Part):
    schema_version: Literal[4]
    name: Annotated[str, Field(min_length=1)]
    created: datetime
    package_version: str
    regions: dict[Literal["hand", "radius-ulna", "carpal", "metacarpal", "phalanx", "epiphysis"], _Spec4]
    frame_size: tuple[Pixels, Pixels]
    segmenter_size: Pixels
    detector_size: Pixels
    training_data: str
    license_note: str
    metrics: dict[str, Any]
    files: dict[FileName, Sha256]


def _from_schema_4(old: _Schema4) -> dict[str, Any]:
    """A manifest of schema 4 in today's words: then every bundle had the same six regions, in one order."""
    order = ("hand", "radius-ulna", "carpal", "metacarpal", "phalanx", "epiphysis")
    same = old.model_dump(exclude={"schema_version", "regions", "segmenter_size", "detector_size"})
    return same | {
        "segmenter": {"size": old.segmenter_size},
        "finder": {
            "kind": "detector",
            "file": "detector.onnx",
            "size": old.detector_size,
            "regions": [name for name in order if name != "hand"],
        },
        "networks": [
            {"region": name, "file": f"regions/{name}.onnx", **old.regions[name].model_dump()}
            for name in order
            if name in old.regions
        ],
        "fusion": {"kind": "rb-fcl+trees"},
    }
