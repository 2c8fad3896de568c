"""Why a bone age is what it is."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import boneage_roi as br
from boneage_roi.errors import InputError
from boneage_roi.explain import METHODS, Explanation
from boneage_roi.explain.age_map import place_ages
from boneage_roi.explain.occlusion import moves
from boneage_roi.explain.places import hand_in_frame
from boneage_roi.fusion.features import stack_readings
from boneage_roi.onnx_check import check_network, tensor_names, with_outputs
from boneage_roi.onnx_session import Network
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE, write_bundle_manifest
from boneage_roi.values import Analysis, FloatImage
from tests.bundles import EXAMPLES, copy_with_fusion, needs_bundle

pytestmark = needs_bundle
MAPS = ("occlusion", "attention", "age-map")


@pytest.fixture(scope="module")
def reader() -> br.BoneAgeReader:
    return br.load(tta=False)


@pytest.fixture(scope="module")
def analysis(reader: br.BoneAgeReader) -> Analysis:
    return reader.analyse(EXAMPLES / "girl-10y.png")


@pytest.fixture(scope="module")
def found(reader: br.BoneAgeReader, analysis: Analysis) -> dict[str, Explanation]:
    return {
        method: br.explain(analysis, method, sex="F", bundle=reader)
        for method in METHODS
        if method != "class-activation"
    }


@pytest.fixture(scope="module")
def shuffled(tmp_path_factory: pytest.TempPathFactory) -> br.BoneAgeReader:
    """A reader whose regions' networks have each kernel's numbers in another order."""
    folder = tmp_path_factory.mktemp("shuffled") / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, folder)
    random = np.random.default_rng(0)
    for path in (folder / "regions").iterdir():
        network = onnx.load(str(path))
        for tensor in network.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.ndim >= 2 and values.size > 16:
                mixed = random.permutation(values.ravel()).reshape(values.shape)
                tensor.CopyFrom(numpy_helper.from_array(mixed, tensor.name))
        path.write_bytes(network.SerializeToString())
    manifest = br.Bundle.load(DEFAULT_BUNDLE).manifest
    fields = manifest.model_dump(exclude={"schema_version", "files", "created", "package_version"})
    write_bundle_manifest(folder, **fields)
    return br.load(folder, tta=False)


def hottest(values: FloatImage) -> np.ndarray:
    """Where the tenth of a map's places is that differ most from zero."""
    size = np.abs(np.nan_to_num(values))
    known = ~np.isnan(values)
    return np.asarray(known & (size >= np.quantile(size[known], 0.9)))


def test_every_method_explains_the_same_bone_age(found: dict[str, Explanation]) -> None:
    ages = {why.bone_age.months for why in found.values()}
    assert len(ages) == 1
    for method, why in found.items():
        assert why.method == method
        assert bool(why.maps) != bool(why.table)
        json.dumps(why.to_dict(), allow_nan=False)


@pytest.mark.parametrize("method", MAPS)
def test_maps_lie_on_the_frame_and_are_not_flat(found: dict[str, Explanation], method: str) -> None:
    for values in found[method].maps.values():
        assert values.shape == found[method].analysis.frame.pixels.shape
        assert np.nanstd(values) > 0.01 * np.nanmax(np.abs(values))


@pytest.mark.parametrize("method", MAPS)
def test_other_weights_give_other_maps(
    found: dict[str, Explanation], shuffled: br.BoneAgeReader, analysis: Analysis, method: str
) -> None:
    # The gate may refuse what shuffled networks say; the maps are what matters here.
    other = METHODS[method](shuffled, analysis, found[method].bone_age, "F")
    for name, values in found[method].maps.items():
        both = ~np.isnan(values) & ~np.isnan(other.maps[name])
        likeness = np.corrcoef(values[both], other.maps[name][both])[0, 1]
        assert not likeness > 0.6, name  # NaN where the shuffled network gives one age everywhere


def test_other_weights_give_other_parts(reader: br.BoneAgeReader, shuffled: br.BoneAgeReader) -> None:
    # A young child: what shuffled networks say of any hand is near the mean of all ages.
    young = reader.analyse(EXAMPLES / "boy-4y.png")
    age = reader.read(young, "M")
    tables = [
        METHODS["parts"](one, young, replace(age, readings=one.readings(young, "M")), "M").table
        for one in (reader, shuffled)
    ]
    for column in ("age", "without"):
        before, after = (np.array([row[column] for row in table.values()], float) for table in tables)
        assert np.abs(after - before).min() > 12, column


def test_hiding_the_background_moves_the_age_less_than_hiding_the_hand(
    reader: br.BoneAgeReader, analysis: Analysis, found: dict[str, Explanation]
) -> None:
    away = cv2.distanceTransform((~hand_in_frame(analysis)).astype(np.uint8), cv2.DIST_L2, 3)
    squares = []
    for row, column in ((30, 40), (30, 380), (480, 40), (480, 380), (150, 390)):
        square = np.zeros(away.shape, np.float32)
        square[row - 20 : row + 20, column - 20 : column + 20] = 1
        assert away[square > 0].min() > 0
        squares.append(square)
    hot = np.nanquantile(np.abs(found["occlusion"].maps["move"]), 0.9)
    assert np.abs(moves(reader, analysis, squares, "F")).max() < hot


def test_attention_is_hottest_on_the_hand(found: dict[str, Explanation], analysis: Analysis) -> None:
    near = cv2.dilate(hand_in_frame(analysis).astype(np.uint8), np.ones((25, 25))) > 0  # half a cell of the maps
    for region in ("radius-ulna", "carpal", "metacarpal", "epiphysis"):
        assert near[hottest(found["attention"].maps[region])].mean() > 0.9, region


def test_a_window_over_the_whole_hand_reads_the_network_s_own_age(reader: br.BoneAgeReader, analysis: Analysis) -> None:
    network = reader.readers["hand"]
    everywhere, own = place_ages(network, analysis, "F", window=100)
    whole = network(analysis.frame, list(analysis.boxes), "F")
    assert whole is not None
    assert own == pytest.approx(whole.expected_age, abs=0.01)
    np.testing.assert_allclose(everywhere, own, atol=0.5)
    places, _ = place_ages(network, analysis, "F")
    assert np.ptp(places) > 5


def test_parts_tell_the_age_without_each_region(
    reader: br.BoneAgeReader, analysis: Analysis, found: dict[str, Explanation]
) -> None:
    why = found["parts"]
    assert list(why.table) == list(why.bone_age.regions)
    assert sum(row["weight"] or 0 for row in why.table.values()) == pytest.approx(1, abs=1e-4)
    others = [reading for reading in why.bone_age.readings if reading.region != "carpal"]
    assert why.table["carpal"]["without"] == pytest.approx(reader.fuse(others, "F")[0])
    assert why.table["carpal"]["change"] == pytest.approx(reader.fuse(others, "F")[0] - why.bone_age.months)


def test_mistakes_are_said_in_a_line(reader: br.BoneAgeReader, analysis: Analysis) -> None:
    with pytest.raises(InputError, match="unknown method 'magic'; known are occlusion"):
        br.explain(analysis, "magic", sex="F", bundle=reader)
    nobody = replace(analysis, radiograph=replace(analysis.radiograph, sex=None))
    with pytest.raises(InputError, match="give the sex"):
        br.explain(nobody, "parts", bundle=reader)


def test_the_room_may_be_called_too(reader: br.BoneAgeReader, analysis: Analysis) -> None:
    import boneage_roi.explain as room

    assert room(analysis, "parts", sex="F", bundle=reader).table  # type: ignore[operator]


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose fusion is the feature-connected layer with trees."""
    pytest.importorskip("torch")
    return copy_with_fusion(tmp_path_factory.mktemp("layered") / "bundle", "rb-fcl+trees")


def test_parts_of_a_feature_connected_layer_have_its_weights(layered: Path, analysis: Analysis) -> None:
    why = br.explain(analysis, "parts", sex="F", bundle=br.load(layered, tta=False))
    weights = {region: row["weight"] or 0.0 for region, row in why.table.items()}
    assert sum(weights.values()) == pytest.approx(1, abs=1e-4)
    layer = layered / "rb_fcl.onnx"
    names = [name for name in tensor_names(layer.read_bytes()) if name.endswith("/Softmax_output_0")]
    hand = stack_readings([(why.bone_age.readings, "F")], list(weights)).network_inputs
    members = Network(layer, "the fusion", also=names)(hand, [], names)
    assert len(members) > 1
    assert list(weights.values()) == pytest.approx(np.mean(members, axis=0)[0].tolist(), abs=1e-5)


def test_a_fusion_that_cannot_tell_weights_says_so(tmp_path: Path, analysis: Analysis) -> None:
    pytest.importorskip("torch")
    other = copy_with_fusion(tmp_path / "bundle", "feature-ridge")
    table = br.explain(analysis, "parts", sex="F", bundle=br.load(other, tta=False)).table
    assert {row["weight"] for row in table.values()} == {None}


def test_more_outputs_leave_the_network_as_it_is(layered: Path) -> None:
    path = layered / "rb_fcl.onnx"
    data = path.read_bytes()
    inside = tensor_names(data)[0]
    more = onnx.load_from_string(with_outputs(data, [inside, "distribution-long-name" * 20]))
    assert [output.name for output in more.graph.output] == ["distribution", inside, "distribution-long-name" * 20]
    assert more.graph.node == onnx.load_from_string(data).graph.node
    assert with_outputs(data, []) == data
    check_network(data)
    assert set(tensor_names(data)) == {name for node in more.graph.node for name in node.output}


def test_a_tensor_inside_comes_out(layered: Path) -> None:
    path = layered / "rb_fcl.onnx"
    (name, *_) = (name for name in tensor_names(path.read_bytes()) if name.endswith("members.0/Softmax_output_0"))
    inputs = {
        "features": np.zeros((1, 6, 64), np.float32),
        "distributions": np.full((1, 6, 240), 1 / 240, np.float32),
        "present": np.ones((1, 6), np.float32),
        "sex": np.ones(1, np.float32),
    }
    (weights,) = Network(path, "the fusion", also=[name])(inputs, [(1, 6)], [name])
    assert weights.sum() == pytest.approx(1)
