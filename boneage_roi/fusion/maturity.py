"""From which reading on a hand is skeletally mature: its growth plates have closed, and it will not look older.

Readings stop rising there: the oldest girls that a training knows are read about two years too young, whatever their
label. So the age that a mature hand is read with is no age, but the least that it has.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from boneage_roi.files import read_json
from boneage_roi.values import FloatArray, Sex, years_and_months

MATURITY_FILE = "maturity.json"

YOUNG: dict[Sex, float] = {"F": 180.0, "M": 192.0}
"""Below these bone ages, months, no hand is mature: the radius closes last, at 17 years in girls and 18 in boys in the
atlas of Greulich and Pyle, the fingers about two years earlier."""

WRONG = 0.001
"""So many of the hands below may be called mature."""

ENOUGH = 200
"""Fewer of them of a sex cannot tell where that is."""


@dataclass(frozen=True)
class Maturity:
    """The fused bone age, months, from which on a hand is skeletally mature, by sex; a sex may be missing."""

    from_months: dict[Sex, float]

    def flag(self, months: float, sex: Sex) -> tuple[str, ...]:
        """What to tell of a hand that is mature; nothing of others."""
        limit = self.from_months.get(sex)
        if limit is None or months < limit:
            return ()
        return (f"skeletally mature: {limit:.0f} months ({years_and_months(limit)}) or more",)

    def to_json(self) -> str:
        """The content of ``maturity.json``."""
        return json.dumps({"from_months": self.from_months}, indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Maturity":
        """Read ``maturity.json``.

        Raises:
            InputError: the file is missing or holds something else.
        """

        def limits(content: dict[str, dict[Sex, float]]) -> "Maturity":
            found = {sex: float(months) for sex, months in content["from_months"].items()}
            if not found.keys() <= YOUNG.keys() or not np.isfinite(list(found.values())).all():
                raise ValueError("not ages by sex")
            return cls(found)

        return read_json(path, "a maturity file", limits)


def fit_maturity(months: FloatArray, ages: FloatArray, sex: FloatArray) -> Maturity:
    """The limits that nearly no young hand is read beyond.

    Args:
        months: fused bone ages (N,) of hands that the fusion had not seen.
        ages: their true bone ages (N,), months.
        sex: (N,), 1 for male.
    """
    limits: dict[Sex, float] = {}
    for name, limit in YOUNG.items():
        young = months[(sex == (name == "M")) & (ages < limit)]
        if len(young) >= ENOUGH:
            beyond = float(np.quantile(young, 1 - WRONG, method="higher"))
            limits[name] = round(max(beyond, limit), 1)
    return Maturity(limits)
