"""A bundle that is whole opens; one that is not says what is wrong with it in one line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boneage_roi.errors import InputError
from boneage_roi.pipeline.bundle import Bundle, write_bundle_manifest
from boneage_roi.regions import Region
from tests.bundles import write_toy_bundle


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    return write_toy_bundle(tmp_path / "bundle")


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        Bundle.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_was_written_is_read(bundle_folder: Path) -> None:
    bundle = Bundle.load(bundle_folder)
    assert bundle.manifest.name == "toy"
    assert bundle.manifest.frame_size == (512, 416)
    assert list(bundle.manifest.regions) == list(Region)
    assert bundle.manifest.regions[Region.PHALANX].size == (112, 56)
    assert bundle.file("regions/carpal.onnx").read_text() == "stands for regions/carpal.onnx"
    assert not list(bundle_folder.rglob("*.partial"))


def test_an_incomplete_bundle_gets_no_manifest(bundle_folder: Path) -> None:
    manifest = Bundle.load(bundle_folder).manifest
    (bundle_folder / "manifest.json").unlink()
    (bundle_folder / "intervals.json").unlink()
    fields = manifest.model_dump(exclude={"schema_version", "created", "package_version", "files", "regions"})
    with pytest.raises(InputError, match=r"intervals\.json is missing"):
        write_bundle_manifest(bundle_folder, regions=manifest.regions, **fields)
    assert not (bundle_folder / "manifest.json").exists()


def test_missing_folder(tmp_path: Path) -> None:
    assert "no such bundle folder" in refusal(tmp_path / "nowhere")


def test_folder_without_manifest(tmp_path: Path) -> None:
    assert "manifest.json is missing" in refusal(tmp_path)


def test_altered_file(bundle_folder: Path) -> None:
    (bundle_folder / "regions/hand.onnx").write_text("something else")
    message = refusal(bundle_folder)
    assert "regions/hand.onnx" in message
    assert "SHA-256" in message


def test_missing_file(bundle_folder: Path) -> None:
    (bundle_folder / "fusion.onnx").unlink()
    assert "fusion.onnx is missing" in refusal(bundle_folder)


def test_newer_schema_asks_for_an_upgrade_even_when_it_has_other_fields(bundle_folder: Path) -> None:
    edit(bundle_folder, lambda manifest: manifest.update(schema_version=99, novelty=True))
    assert "schema 99 is newer" in refusal(bundle_folder)


def test_older_schema_is_named(bundle_folder: Path) -> None:
    edit(bundle_folder, lambda manifest: manifest.update(schema_version=1))
    assert "schema 1 is older" in refusal(bundle_folder)


@pytest.mark.parametrize(
    "name", ["../segmenter.onnx", "/etc/hostname", "regions/../../x.onnx", "..\\x.onnx", "C:x.onnx"]
)
def test_file_outside_the_folder(bundle_folder: Path, name: str) -> None:
    (bundle_folder.parent / "segmenter.onnx").write_text("outside")
    edit(bundle_folder, lambda manifest: manifest["files"].update({name: "0" * 64}))
    assert "outside the bundle's folder" in refusal(bundle_folder)


def test_link_that_leads_outside(bundle_folder: Path) -> None:
    outside = (bundle_folder / "detector.onnx").rename(bundle_folder.parent / "detector.onnx")
    (bundle_folder / "detector.onnx").symlink_to(outside)
    assert "outside the bundle's folder" in refusal(bundle_folder)


def test_file_that_the_manifest_does_not_vouch_for(bundle_folder: Path) -> None:
    edit(bundle_folder, lambda manifest: manifest["files"].pop("detector.onnx"))
    assert "detector.onnx is not listed" in refusal(bundle_folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda manifest: manifest.pop("frame_size"), "frame_size"),
        (lambda manifest: manifest.update(mood="good"), "mood"),
        (lambda manifest: manifest["regions"].update(elbow={}), "elbow"),
        (lambda manifest: manifest["regions"]["hand"].update(margin=-1), "regions.hand.margin"),
        (lambda manifest: manifest["files"].update({"fusion.onnx": "short"}), "files.fusion.onnx"),
    ],
)
def test_malformed_manifest_names_the_field(
    bundle_folder: Path, change: Callable[[dict[str, Any]], Any], named: str
) -> None:
    edit(bundle_folder, change)
    assert named in refusal(bundle_folder)


@pytest.mark.parametrize("content", ["{", "[]", "null", "\xff"])
def test_manifest_that_is_no_manifest(bundle_folder: Path, content: str) -> None:
    (bundle_folder / "manifest.json").write_bytes(content.encode("latin-1"))
    assert "manifest.json" in refusal(bundle_folder)
