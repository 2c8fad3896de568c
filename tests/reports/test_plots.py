import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from boneage_roi.metrics import error_table
from boneage_roi.reports.plots import PLOTS, draw_bland_altman, draw_by_age, draw_plots, draw_predicted


@pytest.fixture
def hands() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    true = rng.uniform(10, 220, 60)
    predicted = true + rng.normal(3, 8, 60)
    predicted[0] = np.nan
    columns = {"boneage": true, "bone_age_months": predicted, "lower": predicted - 12, "upper": predicted + 12}
    return pd.DataFrame(columns | {"sex": ["F", "M"] * 30, "hand_age": predicted + 1, "carpal_age": predicted + 2})


def test_every_plot_is_a_readable_picture(hands: pd.DataFrame) -> None:
    plots = dict(draw_plots(hands))
    assert tuple(plots) == PLOTS
    for content in plots.values():
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.std() > 5


def test_plots_stand_one_hand_and_none(hands: pd.DataFrame) -> None:
    assert len(list(draw_plots(hands.iloc[1:2]))) == 4
    assert len(list(draw_plots(hands.iloc[:1]))) == 4


def test_titles_tell_how_many_hands(hands: pd.DataFrame) -> None:
    axes = Figure().add_subplot()
    draw_predicted(axes, hands.dropna(subset="bone_age_months"))
    assert "n = 59" in axes.get_title()


def test_bland_altman_draws_bias_and_limits(hands: pd.DataFrame) -> None:
    seen = hands.dropna(subset="bone_age_months")
    axes = Figure().add_subplot()
    draw_bland_altman(axes, seen)
    heights = sorted(float(np.asarray(line.get_ydata())[0]) for line in axes.lines)
    difference = seen["bone_age_months"] - seen["boneage"]
    low, high = difference.mean() - 1.96 * difference.std(), difference.mean() + 1.96 * difference.std()
    assert heights == pytest.approx(sorted([low, 0, difference.mean(), high]))


def test_bars_are_as_high_as_the_table_says(hands: pd.DataFrame) -> None:
    table = error_table(hands)
    axes = Figure().add_subplot()
    draw_by_age(axes, table)
    rows = table[table["group"] == "sex x age band"]
    assert sorted(bar.get_height() for bar in axes.patches if isinstance(bar, Rectangle)) == pytest.approx(
        sorted(rows["mae"])
    )
