"""The gate: what it rejects and warns of, in words, and the file that its limits live in."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boneage_roi.errors import InputError
from boneage_roi.quality.gate import WORDINGS, Gate, Limit, Verdict
from boneage_roi.quality.measures import parts
from boneage_roi.quality.train import AGAIN, LOST, SHIFTED, fit_gate
from boneage_roi.regions import REGIONS, detected

FOUND = detected(REGIONS)
PARTS = parts(FOUND)

GOOD = dict.fromkeys(PARTS, 0.9) | {
    "digits": 5,
    "growth_plates": 16,
    "second_hand": 0.0,
    "size": 120.0,
    "forearm": 0.8,
    "edge": 0.0,
    "contrast": 0.6,
    "clipped": 0.0,
    "noise": 0.01,
    "blocks": 0.005,
    "coarse": 0.7,
    "equalised": 0.3,
    "disagreement": 4.0,
}


def images(hands: int = 400, others: int = 200, pairs: int = 50, spoiled: int = 300) -> pd.DataFrame:
    """Hands that scatter a little about good ones, other images whose parts are unsure, two hands in one, spoiled ones.

    Noise moves their age by a hundred months a unit, blocks by two hundred, give or take some days, and the regions
    disagree by as much more.
    """
    random = np.random.default_rng(0)
    rows = [
        {"kind": "hand"} | {name: value * random.normal(1, 0.03) for name, value in GOOD.items()} for _ in range(hands)
    ]
    rows += [
        {"kind": "noise"} | GOOD | {part: random.uniform(0, 0.5) for part in PARTS} | {"disagreement": np.nan}
        for _ in range(others)
    ]
    for kind, name, slope in (("noisy", "noise", 100), ("compressed", "blocks", 200)):
        for strength in np.linspace(0, 0.1, spoiled):
            moved = abs(slope * strength + random.normal(0, 0.3))
            rows.append({"kind": kind} | GOOD | {name: strength, "moved": moved, "disagreement": 4 + moved})
    for share in np.linspace(0, 1, spoiled):
        moved = abs(5 * (1 - share) + random.normal(0, 0.3))
        rows.append({"kind": "locally enhanced"} | GOOD | {"coarse": 0.7 * share, "moved": moved})
        rows.append({"kind": "equalised"} | GOOD | {"equalised": 0.03 * share, "moved": 2.5})
    rows += [{"kind": "pair"} | GOOD | {"second_hand": random.uniform(0.3, 1)} for _ in range(pairs)]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def gate() -> Gate:
    return fit_gate(images(), oldest=228, regions=FOUND)


def test_a_good_hand_passes(gate: Gate) -> None:
    assert gate.judge(GOOD | {"upper": 150}) == Verdict()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (dict.fromkeys(PARTS, 0.2), "no child's hand recognised"),
        ({"second_hand": 0.5}, "two hands: give each an image of its own"),
        ({"size": 20.0}, "hand too small: 20 pixels from wrist to middle knuckle"),
        ({"contrast": 0.1}, "hand too dark or too pale: low contrast"),
        ({"noise": 0.06}, "noisy: noise of 6% of the hand's contrast"),
        ({"disagreement": 30.0}, "regions disagree (standard deviation 30 months)"),
        ({"blocks": 0.04}, "compressed too much: JPEG blocks of 4% of the hand's contrast"),
        ({"coarse": 0.3}, "contrast enhanced piece by piece (CLAHE): export the image without that"),
        ({"equalised": 0.03}, "histogram equalised: export the image without that"),
    ],
)
def test_what_is_rejected(gate: Gate, changed: dict[str, float], reason: str) -> None:
    assert gate.judge(GOOD | changed).rejections == (reason,)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"digits": 3}, "3 of 5 digits found"),
        ({"growth_plates": 12}, "12 of 16 growth plates found"),
        ({"size": 80.0}, "hand too small: 80 pixels from wrist to middle knuckle"),
        ({"forearm": 0.1}, "cut off below the wrist"),
        ({"edge": 0.4}, "hand cut off at the image's edge"),
        ({"clipped": 0.25}, "over- or underexposed: 25% of the hand is black or white"),
        ({"noise": 0.025}, "noisy: noise of 2% of the hand's contrast"),
        ({"blocks": 0.012}, "compressed too much: JPEG blocks of 1% of the hand's contrast"),
        ({"disagreement": 6.5}, "regions disagree (standard deviation 6 months)"),
        ({"upper": 230.0}, "nearly or fully mature: the oldest bone age learnt is 228 months"),
    ],
)
def test_what_is_warned_of(gate: Gate, changed: dict[str, float], reason: str) -> None:
    assert gate.judge(GOOD | changed) == Verdict(warnings=(reason,))


def test_limits_of_spoiled_images_lie_where_the_age_begins_to_move(gate: Gate) -> None:
    for name, slope in (("noise", 100), ("blocks", 200)):
        limit = gate.limits[name]
        assert limit.warn == pytest.approx(SHIFTED / slope, rel=0.2)
        assert limit.reject == pytest.approx(LOST / slope, rel=0.2)


def test_no_hand_learnt_from_is_rejected_for_noise_that_hands_have() -> None:
    table = images()
    table.loc[table.kind == "hand", "noise"] *= 6
    rejected = table[table.kind == "hand"].noise > fit_gate(table, oldest=228, regions=FOUND).limits["noise"].reject
    assert rejected.mean() <= 0.0025  # one of the four hundred


def test_without_spoiled_images_nothing_is_rejected_as_spoiled() -> None:
    limits = fit_gate(images(spoiled=0), oldest=228, regions=FOUND).limits
    assert all(limits[name].reject is None for name in ("noise", "blocks", "disagreement"))


def test_few_hands_learnt_from_are_rejected(gate: Gate) -> None:
    table = images()
    measures = table.drop(columns="kind").astype(float)
    verdicts = [gate.judge({str(name): value for name, value in row.items()}) for _, row in measures.iterrows()]
    rejected = pd.Series([float(bool(verdict.rejections)) for verdict in verdicts]).groupby(table.kind).mean()
    assert rejected["hand"] == 0
    assert rejected["noise"] > 0.99
    assert rejected["pair"] == 1


def test_the_file_keeps_every_limit(gate: Gate, tmp_path: Path) -> None:
    path = tmp_path / "quality.json"
    path.write_text(gate.to_json())
    assert Gate.read(path) == gate


@pytest.mark.parametrize("damage", ["", "[]", "{}", "null", '{"limits": 1}', "missing limit", "a word", "NaN"])
def test_a_damaged_file_is_refused(gate: Gate, tmp_path: Path, damage: str) -> None:
    content = json.loads(gate.to_json())
    if damage == "missing limit":
        del content["limits"]["size"]
    if damage == "a word":
        content["limits"]["size"]["warn"] = "small"
    if damage == "NaN":
        content["intercept"] = float("nan")
    path = tmp_path / "quality.json"
    path.write_text(json.dumps(content) if damage in ("missing limit", "a word", "NaN") else damage)
    with pytest.raises(InputError, match=r"quality\.json: not a quality file"):
        Gate.read(path)


def test_every_wording_has_a_limit(gate: Gate) -> None:
    assert set(gate.limits) == set(WORDINGS)
    assert all(limit != Limit() for limit in gate.limits.values())


def test_enhanced_contrast_is_refused_from_where_the_age_moves_but_where_hands_are_so_too(gate: Gate) -> None:
    assert gate.limits["coarse"].reject == pytest.approx(0.7 * (1 - AGAIN / 5), rel=0.15)
    darker = images()
    darker.loc[darker.kind == "hand", "coarse"] *= 0.5
    limit = fit_gate(darker, oldest=228, regions=FOUND).limits["coarse"].reject
    assert limit is not None
    assert (darker[darker.kind == "hand"].coarse < limit).mean() <= 0.0025  # one of the four hundred


def test_an_equalised_image_is_refused_only_where_its_age_moves() -> None:
    still = images()
    still.loc[still.kind == "equalised", "moved"] = AGAIN / 2
    assert fit_gate(still, oldest=228, regions=FOUND).limits["equalised"] == Limit()


def test_a_gate_without_limits_of_enhanced_contrast_is_read_and_refuses_none(tmp_path: Path, gate: Gate) -> None:
    content = json.loads(gate.to_json())
    del content["limits"]["coarse"], content["limits"]["equalised"]
    (tmp_path / "quality.json").write_text(json.dumps(content))
    older = Gate.read(tmp_path / "quality.json")
    assert older.judge(GOOD | {"coarse": 0.1, "equalised": 0.0}) == Verdict()
