import pandas as pd
import pytest

from boneage_roi.configs.schema import SplitConfig
from boneage_roi.datasets.splits import assign_splits, split_of
from boneage_roi.errors import InputError


def test_the_hash_never_changes() -> None:
    """Published bundles stand on these: a hand that moves to another split would leak into their test."""
    known = {"1377": "fusion", "1378": "train", "1391": "test", "1392": "test", "1395": "fusion", "patient-ä": "train"}
    assert {hand: split_of(hand, fusion=0.14, test=0.11) for hand in known} == known


def test_shares_are_as_wanted() -> None:
    splits = pd.Series([split_of(str(hand), fusion=0.2, test=0.1) for hand in range(10_000)])
    shares = splits.value_counts(normalize=True)
    assert shares["fusion"] == pytest.approx(0.2, abs=0.015)
    assert shares["test"] == pytest.approx(0.1, abs=0.015)


def test_a_larger_fusion_share_leaves_the_test_split_alone() -> None:
    hands = [str(hand) for hand in range(500)]
    small = [hand for hand in hands if split_of(hand, fusion=0.1, test=0.1) == "test"]
    assert small == [hand for hand in hands if split_of(hand, fusion=0.4, test=0.1) == "test"]


def test_all_hands_of_a_patient_share_a_split() -> None:
    frame = pd.DataFrame({"id": [f"h{n}" for n in range(60)], "patient": [f"p{n // 3}" for n in range(60)]})
    splits = assign_splits(frame, SplitConfig(fusion=0.3, test=0.3))
    assert (splits.groupby("patient")["split"].nunique() == 1).all()
    assert splits["split"].nunique() == 3


def test_a_given_split_is_kept_and_gaps_are_filled() -> None:
    frame = pd.DataFrame({"id": ["1377", "1378"], "split": ["test", None]})
    assert list(assign_splits(frame, SplitConfig())["split"]) == ["test", split_of("1378", 0.14, 0.11)]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"split": ["train", "validation"]}, "id 2: split is 'validation'"),
        ({"split": ["train", "test"], "patient": ["p", "p"]}, "patient p: hands in more than one split"),
    ],
)
def test_given_splits_that_leak_or_are_unknown(columns: dict[str, list[str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        assign_splits(pd.DataFrame({"id": ["1", "2"]} | columns), SplitConfig())


def test_one_patient_in_two_splits_is_found_among_many_who_are_not() -> None:
    hands = pd.DataFrame({"id": list("abcd"), "patient": list("ppqr"), "split": ["train", "test", "train", "fusion"]})
    with pytest.raises(InputError, match="patient p: hands in more than one split"):
        assign_splits(hands, SplitConfig())


def test_shares_must_leave_hands_to_train_on() -> None:
    with pytest.raises(InputError, match="leave nothing to train on"):
        assign_splits(pd.DataFrame({"id": ["1"]}), SplitConfig(fusion=0.6, test=0.4))
