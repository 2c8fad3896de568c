"""The atlas: mean hands of both sexes at every half year, upright in the hand frame.

Each is the registered average of 25 hands or more of one sex and about one bone age, and no patient's. They come from
the ``train`` and ``fusion`` hands of the RSNA 2017 challenge, by ``examples/make_atlas.py``; where too few hands are,
there is no standard. They show what a bone age looks like, and nothing is measured on them.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from boneage_roi.errors import InputError
from boneage_roi.values import Sex

FOLDER = Path(__file__).parent / "data" / "atlas"


@dataclass(frozen=True)
class Standard:
    """One mean hand.

    Attributes:
        sex: of the hands.
        months: the age that it stands for.
        hands: how many were averaged.
        mean_bone_age: of them, months.
        file: in the package.
    """

    sex: Sex
    months: int
    hands: int
    mean_bone_age: float
    file: str

    @property
    def webp(self) -> bytes:
        """The file's content.

        Raises:
            InputError: the package is damaged.
        """
        try:
            return (FOLDER / self.file).read_bytes()
        except OSError:
            raise InputError(f"{FOLDER / self.file}: cannot be read; install boneage-roi again") from None

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """uint8 (512, 416): a left hand seen from its palm's back, upright as in a hand frame, on black.

        Raises:
            InputError: the package is damaged.
        """
        image = cv2.imdecode(np.frombuffer(self.webp, np.uint8), cv2.IMREAD_GRAYSCALE)
        if image is None:
            raise InputError(f"{FOLDER / self.file}: cannot be read; install boneage-roi again")
        return np.asarray(image, np.uint8)


def nearest_standard(months: float, sex: Sex) -> Standard:
    """The standard nearest to a bone age; of two as near, the younger.

    >>> nearest_standard(121, "F").months
    120
    """
    return min(_of(sex), key=lambda one: (abs(one.months - months), one.months))


def standards_around(months: float, sex: Sex) -> tuple[Standard, Standard]:
    """The two neighbouring standards that a bone age lies between; at an end of the atlas the last two.

    >>> [standard.months for standard in standards_around(121.5, "F")]
    [120, 126]
    """
    own = sorted(_of(sex), key=lambda one: one.months)
    below = sum(one.months <= months for one in own) - 1
    first = min(max(below, 0), len(own) - 2)
    return own[first], own[first + 1]


def _of(sex: Sex) -> Iterable[Standard]:
    return [one for one in _table()[0] if one.sex == sex]


@cache
def _table() -> tuple[tuple[Standard, ...], tuple[tuple[Sex, int], ...]]:
    content = json.loads((FOLDER / "atlas.json").read_text(encoding="utf-8"))
    standards = [
        Standard(row["sex"], row["age_months"], row["hands"], row["mean_bone_age"], row["file"])
        for row in content["standards"]
    ]
    missing = [(row["sex"], row["age_months"]) for row in content["missing"]]
    return tuple(sorted(standards, key=lambda one: (one.sex, one.months))), tuple(sorted(missing))


STANDARDS, MISSING = _table()
"""All standards by sex and age, and the (sex, months) of those for which there are too few hands."""
