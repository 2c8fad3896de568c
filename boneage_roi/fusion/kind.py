"""What a way to fuse is made of: how it is opened, and how it is taught."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from boneage_roi.configs.schema import FusionConfig
from boneage_roi.fusion.features import HandReadings
from boneage_roi.progress import Progress
from boneage_roi.values import FloatArray

Rows = NDArray[np.intp]


class Fusion(Protocol):
    """``fusion(hands)`` gives one age distribution a hand (N, bins), and the bone ages (N,), months.

    The ages may be other than the distributions' means: something may correct them.
    """

    def __call__(self, hands: HandReadings) -> tuple[FloatArray, FloatArray]: ...


@runtime_checkable
class Weighing(Fusion, Protocol):
    """A fusion that can say how much each region counts: ``fusion.weights(hands)`` gives (N, R).

    A row sums to 1, and an absent region has 0. None says that these files do not tell.
    """

    def weights(self, hands: HandReadings) -> FloatArray | None: ...


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a fusion is taught with: readings and true bone ages of N hands, none of which a region network has seen."""

    hands: HandReadings
    ages: FloatArray
    settings: FusionConfig
    folder: Path
    seed: int = 0
    progress: Progress | None = None

    def folds(self) -> Iterator[tuple[Rows, Rows]]:
        """How the hands are divided for cross-fitting: the hands to learn from, and those to be tried on."""
        from sklearn.model_selection import KFold

        folds = KFold(min(self.settings.folds, len(self.hands)), shuffle=True, random_state=self.seed)
        yield from folds.split(np.arange(len(self.hands)))


@dataclass(frozen=True, eq=False)
class CrossFitted:
    """What a fusion says of each hand when it has not seen it.

    Attributes:
        distributions: (N, bins).
        months: (N,), bone ages.
        measured: what else is worth keeping in the stage's metrics.
    """

    distributions: FloatArray
    months: FloatArray
    measured: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A way to fuse.

    Attributes:
        files: what it keeps in a bundle.
        open: makes it of the folder that holds the files, for prediction.
        teach: learns from a lesson, writes the files into the lesson's folder. May import the training's packages.
    """

    files: tuple[str, ...]
    open: Callable[[Path], Fusion]
    teach: Callable[[Lesson], CrossFitted]
