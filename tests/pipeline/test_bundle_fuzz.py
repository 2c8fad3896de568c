"""Whatever a bundle's files hold: it opens, or one line says why it cannot be used."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boneage_roi.errors import InputError
from boneage_roi.fusion.intervals import Intervals
from boneage_roi.onnx_session import open_session
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.reader import BoneAgeReader
from tests.bundles import write_toy_bundle

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)
DEEP = "[" * 100_000
HUGE = '{"coverage": 1' + "0" * 400 + "}"


def assert_refused_or_read(read: Callable[[Path], Any], path: Path) -> None:
    message = ""
    try:
        read(path)
    except InputError as error:
        message = str(error)
    assert len(message.splitlines()) <= 1


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy bundle, whose manifest's tests write over each other's."""
    folder = write_toy_bundle(tmp_path_factory.mktemp("fuzz") / "bundle")
    (folder / "manifest.json").rename(folder / "whole.json")
    return folder


@pytest.fixture(scope="module")
def manifest(bundle: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((bundle / "whole.json").read_text())
    return content


@given(content=st.binary(max_size=200) | JSON.map(json.dumps).map(str.encode))
@settings(max_examples=100, deadline=20_000)
def test_any_manifest(bundle: Path, content: bytes) -> None:
    (bundle / "manifest.json").write_bytes(content)
    assert_refused_or_read(Bundle.load, bundle)


@given(data=st.data(), value=JSON)
@settings(max_examples=200, deadline=20_000)
def test_manifest_with_one_other_value(bundle: Path, manifest: dict[str, Any], data: st.DataObject, value: Any) -> None:
    key = data.draw(st.sampled_from(sorted(manifest)))
    content = manifest | {key: value}
    if isinstance(manifest[key], dict) and manifest[key]:
        inner = data.draw(st.sampled_from(sorted(manifest[key])) | st.text(max_size=20))
        content[key] = manifest[key] | {inner: value}
    (bundle / "manifest.json").write_text(json.dumps(content))
    assert_refused_or_read(Bundle.load, bundle)


@given(name=st.text(max_size=20))
@settings(max_examples=100, deadline=20_000)
def test_manifest_that_lists_any_file(bundle: Path, manifest: dict[str, Any], name: str) -> None:
    files = manifest["files"] | {name: "0" * 64}
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"files": files}))
    with pytest.raises(InputError):
        Bundle.load(bundle)


@pytest.mark.parametrize("content", [DEEP, HUGE, '{"files": ' * 20_000, '"\\ud800"'])
@pytest.mark.parametrize("name", ["manifest.json", "intervals.json"])
def test_hostile_json(bundle: Path, name: str, content: str) -> None:
    (bundle / name).write_text(content)
    with pytest.raises(InputError):
        Bundle.load(bundle) if name == "manifest.json" else Intervals.read(bundle / name)


@given(content=st.binary(max_size=100) | JSON.map(json.dumps).map(str.encode))
@settings(max_examples=100, deadline=20_000)
def test_any_intervals(bundle: Path, content: bytes) -> None:
    (bundle / "intervals.json").write_bytes(content)
    assert_refused_or_read(Intervals.read, bundle / "intervals.json")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
@pytest.mark.parametrize("name", ["factor", "narrowest", "weights"])
def test_intervals_are_numbers(tmp_path: Path, name: str, value: str) -> None:
    fields = {"coverage": "0.9", "factor": "1", "narrowest": "4", "weights": f"[{', '.join(['1'] * 16)}]"}
    fields[name] = fields[name].replace("1", value, 1).replace("4", value)
    path = tmp_path / "intervals.json"
    path.write_text("{" + ", ".join(f'"{key}": {text}' for key, text in fields.items()) + "}")
    with pytest.raises(InputError, match="not an intervals file"):
        Intervals.read(path)


@given(content=st.binary(max_size=500))
@settings(max_examples=100, deadline=20_000)
def test_any_network(bundle: Path, content: bytes) -> None:
    (bundle / "any.onnx").write_bytes(content)
    assert_refused_or_read(open_session, bundle / "any.onnx")


@pytest.mark.parametrize("content", [b"", b"\x08", b"text", bytes(1000), b"\x08\x0a\x12\x00"])
def test_networks_that_are_none(tmp_path: Path, content: bytes) -> None:
    """The manifest vouches for them, so only opening them tells."""
    folder = write_toy_bundle(tmp_path / "bundle")
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        if name.endswith(".onnx"):
            (folder / name).write_bytes(content)
            manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"segmenter\.onnx"):
        BoneAgeReader(Bundle.load(folder))
