"""The quality gate: which images get no bone age, and which get one with a warning."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from boneage_roi.files import read_json


class Wording(NamedTuple):
    """What a measure beyond its limits means to a radiographer; ``low`` when small values are bad."""

    low: bool
    reason: str


WORDINGS = {
    "likeness": Wording(True, "no child's hand recognised"),
    "second_hand": Wording(False, "two hands: give each an image of its own"),
    "digits": Wording(True, "{:.0f} of 5 digits found"),
    "growth_plates": Wording(True, "{:.0f} of 16 growth plates found"),
    "size": Wording(True, "hand too small: {:.0f} pixels from wrist to middle knuckle"),
    "forearm": Wording(True, "cut off below the wrist"),
    "edge": Wording(False, "hand cut off at the image's edge"),
    "contrast": Wording(True, "hand too dark or too pale: low contrast"),
    "clipped": Wording(False, "over- or underexposed: {:.0%} of the hand is black or white"),
    "noise": Wording(False, "noisy: noise of {:.0%} of the hand's contrast"),
    "blocks": Wording(False, "compressed too much: JPEG blocks of {:.0%} of the hand's contrast"),
    "coarse": Wording(True, "contrast enhanced piece by piece (CLAHE): export the image without that"),
    "equalised": Wording(True, "histogram equalised: export the image without that"),
    "disagreement": Wording(False, "regions disagree (standard deviation {:.0f} months)"),
    "upper": Wording(False, "nearly or fully mature: the oldest bone age learnt is {limit:.0f} months"),
}
"""Every measure that has limits; ``likeness`` is made of the weighted ones."""

MAY_LACK = ("digits", "growth_plates", "coarse", "equalised")
"""Measures that a bundle may have no limits of: it does not look for these regions, or is older."""


@dataclass(frozen=True)
class Limit:
    """Beyond ``warn`` a measure is a warning, beyond ``reject`` there is no bone age; None never is."""

    warn: float | None = None
    reject: float | None = None


@dataclass(frozen=True)
class Verdict:
    """Why an image gets no bone age, and what to look at when it gets one."""

    rejections: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gate:
    """Limits of measures, learnt by :mod:`boneage_roi.quality.train`.

    Attributes:
        weights: of :func:`boneage_roi.quality.measures.parts` in the likeness, a log-odds; ``intercept`` is added.
        limits: of every measure in ``WORDINGS``.
    """

    weights: dict[str, float]
    intercept: float
    limits: dict[str, Limit]

    def likeness(self, measures: Mapping[str, float]) -> float:
        """How much an image looks like a hand with its regions: log-odds."""
        return self.intercept + sum(weight * measures[part] for part, weight in self.weights.items())

    def judge(self, measures: Mapping[str, float]) -> Verdict:
        """Judge an image, or what was read from it, by whichever measures are given."""
        known = dict(measures)
        if known.keys() >= self.weights.keys():
            known["likeness"] = self.likeness(measures)
        rejections: list[str] = []
        warnings: list[str] = []
        for name, (low, reason) in WORDINGS.items():
            if name not in known or name not in self.limits:
                continue
            if not math.isfinite(known[name]):
                rejections.append(f"{name.replace('_', ' ')} could not be measured")
                continue
            limit = self.limits[name]
            for bound, reasons in ((limit.reject, rejections), (limit.warn, warnings)):
                if bound is not None and (known[name] < bound if low else known[name] > bound):
                    reasons.append(reason.format(known[name], limit=bound))
                    break
        return Verdict(tuple(rejections), tuple(warnings))

    def to_json(self) -> str:
        """The content of ``quality.json``."""
        return json.dumps(asdict(self), indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Gate":
        """Read ``quality.json``.

        Raises:
            InputError: the file is missing or holds something else.
        """
        return read_json(path, "a quality file", cls._from_json)

    @classmethod
    def _from_json(cls, content: Any) -> "Gate":
        limits = {}
        for name in WORDINGS:
            if name in MAY_LACK and name not in content["limits"]:
                continue
            bounds = (content["limits"][name][end] for end in ("warn", "reject"))
            limits[name] = Limit(*(None if bound is None else _number(bound) for bound in bounds))
        weights = {str(part): _number(weight) for part, weight in content["weights"].items()}
        if "landmarks" not in weights:
            raise ValueError("nothing tells a hand")
        return cls(weights, _number(content["intercept"]), limits)


def _number(value: float) -> float:
    """A finite number: beyond any other, nothing would ever be rejected."""
    if not math.isfinite(value := float(value)):
        raise ValueError("not a finite number")
    return value
