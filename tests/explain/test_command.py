"""``boneage-roi explain`` and ``boneage-roi atlas`` as a user meets them."""

import json
import subprocess
import sys
from pathlib import Path

import cv2

from tests.bundles import EXAMPLES, needs_bundle


def run(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys; from boneage_roi.cli import main; sys.argv[0] = 'boneage-roi'; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@needs_bundle
def test_explain_writes_heat_and_prints_parts(tmp_path: Path) -> None:
    image = EXAMPLES / "girl-10y.png"
    done = run("explain", image, "--sex", "F", "--method", "parts", "--method", "age-map", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    picture = tmp_path / "explanations" / "girl-10y-age-map.png"
    assert str(picture.relative_to(tmp_path)) in done.stdout
    assert "carpal" in done.stdout
    assert "without" in done.stdout
    heat = cv2.imread(str(picture))
    assert heat is not None
    assert (heat[..., 0] != heat[..., 2]).mean() > 0.02  # colour, and not grey alone


@needs_bundle
def test_explain_as_json(tmp_path: Path) -> None:
    done = run("explain", EXAMPLES / "boy-10y.png", "--sex", "M", "--method", "parts", "--json", folder=tmp_path)
    (record,) = json.loads(done.stdout)
    assert record["method"] == "parts"
    assert set(record["table"]["hand"]) == {"age", "spread", "weight", "without", "change"}


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    image = EXAMPLES / "girl-10y.png"
    for arguments, words in (
        (("explain", image), "give --sex M or --sex F"),
        (("explain", image, "--sex", "F", "--method", "magic"), "unknown method"),
        (("atlas", "--sex", "F"), "give both --sex and --age"),
        (("atlas", "--sex", "F", "--age", "old"), "not an age"),
    ):
        done = run(*arguments, folder=tmp_path)
        assert done.returncode == 2, arguments
        assert words in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_atlas_writes_the_nearest_mean_hand(tmp_path: Path) -> None:
    done = run("atlas", "--sex", "F", "--age", "7y1m", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "7 years" in done.stdout
    drawn = cv2.imread(str(tmp_path / "F-084.png"), cv2.IMREAD_GRAYSCALE)
    assert drawn is not None
    assert drawn.shape == (512, 416)


def test_atlas_lists_what_there_is(tmp_path: Path) -> None:
    done = run("atlas", folder=tmp_path)
    assert done.returncode == 0
    assert "too few hands" in done.stdout
