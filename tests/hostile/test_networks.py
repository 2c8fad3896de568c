"""A network can compute and nothing else: no loops, no other files, no memory without end. 18.9 and 18.10."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from boneage_roi.detection.runtime import Detector
from boneage_roi.errors import InputError
from boneage_roi.onnx_check import LARGEST_SIDE, check_network
from boneage_roi.onnx_session import LARGEST_INPUT, Network, open_session
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.segmentation.runtime import Segmenter
from boneage_roi.values import HandFrame, Radiograph
from tests.bundles import needs_bundle
from tests.hostile.networks import inner, large, model, node, takes


def external(tensor: Any) -> Any:
    tensor.ClearField("raw_data")
    tensor.external_data.add(key="location", value="../../../etc/passwd")
    return tensor


def sparse() -> Any:
    made = model()
    values = helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0])
    where = helper.make_tensor("i", TensorProto.INT64, [1], [10**9])
    made.graph.sparse_initializer.add().CopyFrom(helper.make_sparse_tensor(values, where, [10**9]))
    return made


def with_weights(change: Callable[[Any], Any]) -> Any:
    made = model(weights={"w": np.ones(4, np.float32)})
    change(made.graph.initializer[0])
    return made


def located_elsewhere(tensor: Any) -> None:
    tensor.data_location = TensorProto.EXTERNAL


def with_function() -> Any:
    made = model()
    body = [node("Relu", ["a"], ["b"])]
    opsets = [helper.make_opsetid("", 17)]
    made.functions.add().CopyFrom(helper.make_function("own", "f", ["a"], ["b"], body, opsets))
    return made


def constant(**value: Any) -> Any:
    return model([node("Constant", [], ["c"], **value), node("Add", ["x", "x"], ["y"])])


def of_tensor(change: Callable[[Any], Any]) -> Any:
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "w")
    change(tensor)
    return constant(value=tensor)


def dims(*sides: int) -> Any:
    return with_weights(lambda tensor: tensor.dims.__setitem__(slice(None), sides))


def cut_to(end: int) -> Any:
    return model(
        [node("Slice", ["x", "from", "to"], ["y"])], {"from": np.array([0], np.int64), "to": np.array([end], np.int64)}
    )


def small() -> bytes:
    content: bytes = model(
        [node("MaxPool", ["x"], ["y"], kernel_shape=[1])], {"s": np.array([1, 2], np.int64)}
    ).SerializeToString()
    return content


LOOP = {"body": inner("more")}
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "Loop": (lambda: model([node("Loop", ["", "x"], ["y"], **LOOP)]), "operator 'Loop'"),
    "If": (lambda: model([node("If", ["x"], ["y"], then_branch=inner("a"), else_branch=inner("b"))]), "operator 'If'"),
    "Scan": (lambda: model([node("Scan", ["x"], ["y"], body=inner("a"), num_scan_inputs=1)]), "operator 'Scan'"),
    "a graph in a known operator": (lambda: model([node("Add", ["x", "x"], ["y"], body=inner("a"))]), "a graph"),
    "graphs in a known operator": (lambda: model([node("Add", ["x", "x"], ["y"], bodies=[inner("a")])]), "a graph"),
    "an operator that nobody knows": (lambda: model([node("Shell", ["x"], ["y"])]), "operator 'Shell'"),
    "an operator of an endless name": (lambda: model([node("A" * 10**6, ["x"], ["y"])]), "operator 'AAAA"),
    "an operator of another set": (lambda: model([node("Add", ["x"], ["y"], domain="evil")]), "operator of 'evil'"),
    "a function of its own": (with_function, "functions of its own"),
    "weights in another file": (lambda: with_weights(external), "another file"),
    "weights that are said to be elsewhere": (lambda: with_weights(located_elsewhere), "another file"),
    "a constant in another file": (lambda: of_tensor(external), "another file"),
    "sparse weights": (sparse, "sparse weights"),
    "a sparse constant": (
        lambda: constant(
            sparse_value=helper.make_sparse_tensor(
                helper.make_tensor("v", TensorProto.FLOAT, [1], [1.0]),
                helper.make_tensor("i", TensorProto.INT64, [1], [0]),
                [10**9],
            )
        ),
        "sparse weights",
    ),
    "a long side": (lambda: dims(LARGEST_SIDE + 1), "a size that none needs"),
    "a long side among others": (lambda: dims(1, 2, 10**12), "a size that none needs"),
    "a large shape": (lambda: model(weights={"s": np.array([1, 10**9], np.int64)}), "a size that none needs"),
    "a large shape among many numbers": (
        lambda: model(weights={"s": np.array([1] * 99 + [10**9], np.int64)}),
        "a size that none needs",
    ),
    "a large shape that is listed": (
        lambda: model(
            [
                node("Add", ["x", "x"], ["y"]),
                node("Constant", [], ["c"], value=helper.make_tensor("s", 7, [1], [10**9])),
            ]
        ),
        "a size that none needs",
    ),
    "a large constant": (lambda: constant(value_int=10**9), "a size that none needs"),
    "large constants": (lambda: constant(value_ints=[1, 10**9]), "a size that none needs"),
    "a large pad": (lambda: model([node("MaxPool", ["x"], ["y"], pads=[0, 10**9])]), "a size that none needs"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_18_10_a_network_that_could_do_more_than_compute_is_refused(tmp_path: Path, name: str) -> None:
    make, reason = REFUSED[name]
    path = tmp_path / "network.onnx"
    path.write_bytes(make().SerializeToString())
    with pytest.raises(InputError, match=reason) as caught:
        open_session(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "network",
    [
        lambda: model(),
        lambda: model(weights={"w": np.ones((200, 300), np.float32), "side": np.array([LARGEST_SIDE], np.int64)}),
        lambda: constant(value_ints=[1, 2, -1]),
        lambda: model(
            [node("Slice", ["x", "from", "to"], ["y"])],
            {"from": np.array([0], np.int64), "to": np.array([2**63 - 1], np.int64)},
        ),
        lambda: model(
            [node("Slice", ["x", "from", "to"], ["y"])],
            {"from": np.array([0], np.int64), "to": np.array([2**31 - 1], np.int64)},
        ),
    ],
)
def test_what_exported_networks_hold_is_let_through(tmp_path: Path, network: Callable[[], Any]) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(network().SerializeToString())
    assert np.isfinite(open_session(path).run(None, {"x": np.ones(1, np.float32)})[0]).all()


@needs_bundle
def test_the_shipped_networks_are_checked_in_an_eye_blink() -> None:
    networks = [path.read_bytes() for path in DEFAULT_BUNDLE.rglob("*.onnx")]
    spent = []
    for _ in range(3):
        began = time.process_time()
        for data in networks:
            check_network(data)
        spent.append(time.process_time() - began)
    assert len(networks) >= 9
    # Three to four times what it takes; counting which lines are run makes everything slower.
    assert min(spent) < (0.15 if sys.gettrace() is None else 1.0)


def test_a_network_that_is_cut_short_anywhere_is_refused() -> None:
    whole = small()
    check_network(whole)
    begins = whole.index(b"MaxPool")
    for length in range(begins, len(whole) - 8):  # behind the graph come the operators' versions
        with pytest.raises(InputError):
            check_network(whole[:length])


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


HIDDEN = b"\x0a\x04\x22\x02If"  # a graph's node with the operator If
OPEN = b"\x3a"  # the graph of a network


def field(number: int, content: bytes) -> bytes:
    """A field of a message whose content has a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def test_18_10_what_is_forbidden_is_found_whatever_lies_before_it() -> None:
    """Names of every length, fields of fixed length that no reader knows, an attribute of many bytes."""
    for length in (*range(50, 140), *range(250, 262), 16_383, 16_384):
        named = field(1, field(3, b"n" * length))
        check_network(field(7, named))
        with pytest.raises(InputError, match="operator 'If'"):
            check_network(field(7, named + HIDDEN))
        attribute = field(1, b"n" * length) + field(6, b"")  # a graph, after a name
        with pytest.raises(InputError, match="a graph or sparse weights inside an operator"):
            check_network(field(7, field(1, field(5, attribute))))
    unknown = varint(99 << 3 | 1) + bytes(8) + varint(99 << 3 | 5) + bytes(4)
    check_network(unknown + small() + unknown)
    with pytest.raises(InputError, match="operator 'If'"):
        check_network(unknown + field(7, unknown + HIDDEN))


@pytest.mark.parametrize("number", [6, 11, 22, 23])
def test_18_10_no_attribute_holds_a_graph_or_sparse_weights(number: int) -> None:
    with pytest.raises(InputError, match="a graph or sparse weights inside an operator"):
        check_network(field(7, field(1, field(5, field(number, b"")))))


@pytest.mark.parametrize("number", [5, 10])
def test_18_10_tensors_of_attributes_are_looked_at_one_or_many(number: int) -> None:
    for tensor, reason in ((field(13, b"x"), "another file"), (field(1, varint(10**9)), "a size that none needs")):
        with pytest.raises(InputError, match=reason):
            check_network(field(7, field(1, field(5, field(number, tensor)))))


@pytest.mark.parametrize("number", [1, 7])
def test_18_10_sizes_are_read_packed_or_not(number: int) -> None:
    for sizes in (field(number, varint(3) + varint(10**9)), varint(number << 3) + varint(10**9)):
        with pytest.raises(InputError, match="a size that none needs"):
            check_network(field(7, field(5, sizes)))
    check_network(field(7, field(5, field(number, varint(3) + varint(LARGEST_SIDE)))))


@pytest.mark.parametrize(
    "data",
    [
        OPEN + varint(2**64 - 3),  # backwards: without end
        OPEN + varint(2**63),
        OPEN + varint(2**32) + HIDDEN,
        OPEN + varint(2**31) + HIDDEN,
        OPEN + b"\xff" * 11,
        OPEN + varint(len(HIDDEN) + 1) + HIDDEN,
        varint(2**32 + OPEN[0]) + varint(len(HIDDEN)) + HIDDEN,  # a parser of 32 bits takes this for a graph
        OPEN + varint(0) + OPEN + varint(len(HIDDEN)) + HIDDEN,  # parsers put both together
        b"\x38\x01" + OPEN + varint(len(HIDDEN)) + HIDDEN,  # a number where a graph belongs, then one
        OPEN + varint(len(HIDDEN)) + HIDDEN + b"\x3d\x00\x00\x00",  # a field of four bytes that has three
        OPEN + varint(len(HIDDEN)) + HIDDEN + b"\x3c",  # a group, which ONNX has none of
        b"",
        b"\x80",
    ],
)
def test_a_file_that_leads_its_reader_astray_is_refused_at_once(data: bytes) -> None:
    began = time.monotonic()
    with pytest.raises(InputError):
        check_network(data)
    assert time.monotonic() - began < 2


@given(data=st.binary(max_size=300))
@settings(max_examples=300, deadline=20_000)
def test_any_bytes_are_let_through_or_refused(data: bytes) -> None:
    refusal(data)
    refusal(OPEN + varint(len(data)) + data)


@given(data=st.data())
@settings(max_examples=300, deadline=20_000)
def test_a_network_with_bytes_changed_is_let_through_or_refused(data: st.DataObject) -> None:
    whole = bytearray(
        model([node("MaxPool", ["x"], ["y"], kernel_shape=[1])], {"s": np.array([1, 2], np.int64)}).SerializeToString()
    )
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    refusal(bytes(whole))


def refusal(data: bytes) -> None:
    """Nothing but one line comes of a network that is refused."""
    message = ""
    try:
        check_network(data)
    except InputError as error:
        message = str(error)
    assert "\n" not in message


TRIAL = """
import resource, sys
from pathlib import Path
import numpy as np
from boneage_roi import onnx_session
from boneage_roi.detection.runtime import Detector
from boneage_roi.errors import InputError
onnx_session.MOST_MEMORY = 512 * 2**20
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    onnx_session.Network(Path(sys.argv[1]), "the network")({"x": np.ones(1, np.float32)}, [()])
    print("ran")
except InputError as error:
    print("refused" if "\\n" not in str(error) else "long")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the memory is measured in KB")
@pytest.mark.parametrize("way", large(1))
def test_18_10_a_small_network_cannot_take_the_memory(tmp_path: Path, way: str) -> None:
    """Each runs when it asks for little. With 5 GB it ends in a refusal, and the process stays below 1 GB."""
    outcomes = {}
    for side in (20, 36_000):
        path = tmp_path / f"{side}.onnx"
        path.write_bytes(large(side)[way].SerializeToString())
        done = subprocess.run([sys.executable, "-c", TRIAL, str(path)], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        said, grown = done.stdout.split()
        outcomes[side] = said
        assert int(grown) < 900
    assert outcomes == {20: "ran", 36_000: "refused"}


@pytest.mark.parametrize("side", [0, LARGEST_INPUT + 1, 10**6, "any"])
def test_a_network_with_an_input_that_fills_the_memory_is_refused(tmp_path: Path, side: int | str) -> None:
    path = takes(tmp_path / "network.onnx", [1, 1, side, side])
    for opened in (lambda: Detector(path, ["carpal"]), lambda: Segmenter(path)):
        with pytest.raises(InputError, match="pixels a side"):
            opened()


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        ("Identity", (2, 3), (2, 4)),
        ("Identity", (2, 3), (2, 3, 1)),
        ("Identity", (2, 3), (None, 4)),
        ("Shape", (2, 3), (2,)),  # whole numbers
        ("GlobalMaxPool", (2, 3), (2, 3)),  # cannot be run on that
    ],
)
def test_a_network_that_gives_something_else_is_refused(
    tmp_path: Path, kind: str, given: tuple[int, ...], wanted: tuple[int | None, ...]
) -> None:
    network = Network(takes(tmp_path / "network.onnx", ["n", "m"], kind), "the network")
    with pytest.raises(InputError, match=r"^the network "):
        network({"x": np.ones(given, np.float32)}, [wanted])


def test_a_network_of_fewer_answers_is_refused(tmp_path: Path) -> None:
    network = Network(takes(tmp_path / "network.onnx", ["n"]), "the network")
    assert network({"x": np.ones(2, np.float32), "unknown": np.ones(1, np.float32)}, [(2,)])[0].tolist() == [1, 1]
    with pytest.raises(InputError, match="something else"):
        network({"x": np.ones(2, np.float32)}, [(2,), (2,)])


def test_stages_whose_network_is_of_another_kind_say_so(tmp_path: Path) -> None:
    """Each is a network, but not the one that its place in the bundle asks for."""
    frame = HandFrame(np.full((64, 48), 90, np.uint8), np.eye(2, 3))
    detector = Detector(takes(tmp_path / "a.onnx", [1, 3, 64, 64]), ["carpal"])
    segmenter = Segmenter(takes(tmp_path / "b.onnx", [1, 1, 64, 64]))
    reader = RegionReader(takes(tmp_path / "c.onnx", ["n", 1, 1, 8, 8]), "hand", size=(8, 8), margin=0)
    for read in (lambda: detector(frame), lambda: segmenter(Radiograph(np.ones((64, 64), np.float32)))):
        with pytest.raises(InputError, match=r"gave something else|cannot be run"):
            read()
    with pytest.raises(InputError, match="the network of hand cannot be run"):
        reader(frame, [], "F")
