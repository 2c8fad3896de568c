"""From which reading on a hand is called skeletally mature."""

from pathlib import Path

import numpy as np
import pytest

from boneage_roi.errors import InputError
from boneage_roi.fusion.maturity import Maturity, fit_maturity


def learnt(girls: int = 900, boys: int = 900) -> Maturity:
    """Hands of 100 months to maturity; girls are read up to 195 months whatever their label, boys up to 210."""
    random = np.random.default_rng(0)
    sex = np.repeat([0, 1], [girls, boys]).astype(np.float32)
    ages = random.uniform(100, 228, len(sex)).astype(np.float32)
    months = np.minimum(ages + random.normal(0, 3, len(sex)), np.where(sex > 0, 210, 195)).astype(np.float32)
    return fit_maturity(months, ages, sex)


def test_nearly_no_young_hand_is_called_mature_and_the_oldest_are() -> None:
    found = learnt().from_months
    assert 183 < found["F"] < 194
    assert 192 <= found["M"] < 208


def test_a_sex_of_which_there_are_few_hands_has_no_limit() -> None:
    assert learnt(girls=50).from_months.keys() == {"M"}


@pytest.mark.parametrize(("months", "sex", "flags"), [(190, "F", 1), (184, "F", 0), (190, "M", 0), (205, "M", 1)])
def test_the_flag_depends_on_the_sex(months: float, sex: str, flags: int) -> None:
    told = Maturity({"F": 185.6, "M": 205.0}).flag(months, "F" if sex == "F" else "M")
    assert len(told) == flags
    if (months, sex) == (190, "F"):
        assert told == ("skeletally mature: 186 months (15 y 6 m) or more",)


def test_without_a_limit_nobody_is_called_mature() -> None:
    assert Maturity({}).flag(239, "F") == ()


def test_limits_come_back_as_they_were_kept(tmp_path: Path) -> None:
    (tmp_path / "maturity.json").write_text(learnt().to_json())
    assert Maturity.read(tmp_path / "maturity.json") == learnt()


@pytest.mark.parametrize("text", ["", "{}", '{"from_months": {"X": 3}}', '{"from_months": {"F": NaN, "M": 200}}', "[]"])
def test_a_damaged_file_is_said_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "maturity.json").write_text(text)
    with pytest.raises(InputError, match="damaged"):
        Maturity.read(tmp_path / "maturity.json")
