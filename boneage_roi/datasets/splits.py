"""Which split a hand belongs to: a stable hash of its patient, so that every run and every stage agrees."""

import hashlib
from typing import Literal

import pandas as pd

from boneage_roi.configs.schema import SplitConfig
from boneage_roi.errors import InputError

Split = Literal["train", "fusion", "test"]
SPLITS: tuple[Split, ...] = ("train", "fusion", "test")


def split_of(patient_id: str, fusion: float, test: float) -> Split:
    """The split of a patient.

    The first eight bytes of the id's SHA-256 give a number in [0, 1): below ``test`` it is "test", from there as much
    as ``fusion`` is "fusion", the rest is "train". A larger ``fusion`` therefore never moves a hand out of ``test``.
    """
    position = int.from_bytes(hashlib.sha256(patient_id.encode()).digest()[:8], "big") / 2**64
    if position < test:
        return "test"
    return "fusion" if position < test + fusion else "train"


def assign_splits(frame: pd.DataFrame, config: SplitConfig) -> pd.DataFrame:
    """Give every hand a ``split``, by its ``patient`` where the table has one and by its ``id`` otherwise.

    A split that the table already names is kept.

    Raises:
        InputError: an unknown split, or one patient in two splits.
    """
    if config.fusion + config.test >= 1:
        raise InputError(f"split: fusion {config.fusion} and test {config.test} leave nothing to train on; lower them")
    patients = frame["patient"].fillna(frame["id"]) if "patient" in frame else frame["id"]
    hashed = patients.astype(str).map(lambda patient: split_of(patient, config.fusion, config.test))
    splits = frame["split"].fillna(hashed) if "split" in frame else hashed
    unknown = splits[~splits.isin(SPLITS)]
    if len(unknown):
        hand = frame["id"][unknown.index[0]]
        raise InputError(f"id {hand}: split is {unknown.iloc[0]!r}; it must be {', '.join(SPLITS)} or empty")
    counts = splits.groupby(patients).nunique()
    if (counts > 1).any():
        raise InputError(
            f"patient {counts.idxmax()}: hands in more than one split; give all hands of a patient one split"
        )
    return frame.assign(split=splits)
