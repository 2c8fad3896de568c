"""What a user of the package sees first: names at the root, any source, clear errors."""

import doctest
import io
import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import cv2
import numpy as np
import pytest

import boneage_roi as br
from boneage_roi.pipeline.inputs import list_inputs
from tests.bundles import EXAMPLES, needs_bundle

GIRL = EXAMPLES / "girl-10y.png"
DOCUMENTED = (
    *("boneage_roi", "boneage_roi.values", "boneage_roi.regions", "boneage_roi.pipeline.reader"),
    *("boneage_roi.pipeline.bundle", "boneage_roi.imaging.reading"),
)


@pytest.fixture(scope="module")
def reader() -> br.BoneAgeReader:
    return br.load(tta=False, threads=1)


def test_every_public_name_is_there_and_documented() -> None:
    for name in br.__all__:
        value = getattr(br, name)
        assert name == "REGIONS" or value.__doc__, name
    assert set(br.__all__) <= set(dir(br))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        br.nothing  # noqa: B018


def test_importing_the_root_brings_nothing_heavy() -> None:
    code = "import sys, boneage_roi; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "cv2", "onnxruntime", "pandas", "pydantic", "torch", "typer", "rich"} & set(modules)


@needs_bundle
@pytest.mark.parametrize("module", DOCUMENTED)
def test_the_examples_in_docstrings_are_true(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES.parent)
    tried = doctest.testmod(import_module(module))
    assert tried.attempted > 0
    assert tried.failed == 0


@needs_bundle
def test_every_kind_of_source_gives_the_same_age(reader: br.BoneAgeReader) -> None:
    data = GIRL.read_bytes()
    grey = cv2.imread(str(GIRL), cv2.IMREAD_GRAYSCALE)
    assert grey is not None
    with GIRL.open("rb") as opened:
        sources = (str(GIRL), GIRL, data, bytearray(data), io.BytesIO(data), opened, grey, br.read_radiograph(GIRL))
        months = [reader.predict(source, sex="F").months for source in sources]  # type: ignore[arg-type]
    assert max(months) - min(months) < 1e-6
    colour = np.repeat(grey[..., None], 3, axis=2)
    assert reader.predict(colour, sex="F").months == pytest.approx(months[0], abs=0.5)


@needs_bundle
@pytest.mark.parametrize("word", ["M", "m", "male", " MALE "])
def test_words_for_a_sex(reader: br.BoneAgeReader, word: str) -> None:
    boy = reader.predict(GIRL, sex=word)
    assert boy.sex == "M"
    assert boy.months == reader.predict(GIRL, sex="M").months
    assert boy.months != reader.predict(GIRL, sex="F").months


@needs_bundle
@pytest.mark.parametrize("word", ["girl", "boy", "", "0", "Mann"])
def test_18_3_a_sex_that_is_none_is_no_girl(reader: br.BoneAgeReader, word: str) -> None:
    with pytest.raises(br.InputError, match="is unknown; write M, F, male or female"):
        reader.predict(GIRL, sex=word)
    analysis = reader.analyse(GIRL)
    with pytest.raises(br.InputError, match="is unknown"):
        reader.read(analysis, word)


HAND = np.zeros((100, 80), np.float32)


@needs_bundle
@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.ones((100, 80), bool), "an array of bool is no image"),
        (np.ones((100, 80), complex), "an array of complex128 is no image"),
        (np.full((100, 80), "x"), "is no image"),
        (np.ones(8000), r"shape \(8000,\) is no image"),
        (np.ones((100, 80, 2)), r"shape \(100, 80, 2\) is no image"),
        (np.ones((10, 80)), "too small"),
        (np.full((100, 80), np.nan), "not finite"),
        (np.ones((100, 80)), "blank"),
        (br.Radiograph(np.zeros((100, 80), np.uint8)), "are float32"),
        (br.Radiograph(HAND + 2), "go from 0 to 1, these from 2 to 2"),
        (br.Radiograph(HAND * np.nan), "go from 0 to 1"),
        (br.Radiograph(HAND, sex="girl"), "is unknown"),  # type: ignore[arg-type]
        (b"", "not an image"),
        (io.StringIO("text"), "binary mode"),
        (12, "int is no radiograph"),
        (None, "NoneType is no radiograph"),
        ("nowhere.png", "nowhere.png: no such file"),
    ],
)
def test_a_source_that_is_none_says_why(reader: br.BoneAgeReader, source: object, words: str) -> None:
    with pytest.raises(br.InputError, match=words) as caught:
        reader.predict(source, sex="F")  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@needs_bundle
def test_a_chronological_age_that_is_none(reader: br.BoneAgeReader) -> None:
    assert reader.predict(GIRL, sex="F", chronological_age=124).chronological_age == 124
    for age in (-1, 1500, float("nan")):
        with pytest.raises(br.InputError, match="an age lies between 0 and 1440"):
            reader.predict(GIRL, sex="F", chronological_age=age)


@needs_bundle
def test_an_age_is_plain_and_short(reader: br.BoneAgeReader) -> None:
    age = reader.predict(GIRL, sex="F", chronological_age=124)
    assert list(age.regions) == list(br.REGIONS)
    assert age.regions["carpal"].expected_age == age.region_age("carpal")
    plain = json.loads(json.dumps(age.to_dict(), allow_nan=False))
    assert plain["bone_age_months"] == round(age.months, 2)
    assert plain["chronological_age_months"] == 124
    assert plain["regions"]["carpal"]["age_months"] == round(age.regions["carpal"].expected_age, 2)
    assert plain["flags"] == list(age.flags)
    for shown in (repr(age), str(age), repr(age.regions["hand"]), repr(reader)):
        assert len(shown) < 200
        assert "\n" not in shown


@needs_bundle
def test_crops_are_what_the_networks_see(reader: br.BoneAgeReader) -> None:
    crops = reader.crops(GIRL)
    assert list(crops) == list(br.REGIONS)
    for name, cut in crops.items():
        spec = reader.bundle.manifest.network(name)
        assert cut.pixels.shape == (br.REGIONS[name].max_crops, *spec.size)
        assert cut.pixels.dtype == np.uint8
        assert np.ptp(cut.pixels) > 50


def test_one_string_is_one_input(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"x")
    (tmp_path / "a.png").write_bytes(b"x")
    for given in (str(tmp_path), tmp_path, [str(tmp_path)]):
        assert [Path(item.path).name for item in list_inputs(given)] == ["a.png", "b.png"]
