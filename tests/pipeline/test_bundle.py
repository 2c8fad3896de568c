"""A bundle that is whole opens; one that is not says what is wrong with it in one line."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boneage_roi.errors import InputError
from boneage_roi.pipeline.bundle import Bundle, write_bundle_manifest
from boneage_roi.pipeline.manifest import FUSION_FILES
from boneage_roi.regions import REGIONS
from tests.bundles import TOY, needs_bundle, write_toy_bundle


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
    assert list(bundle.manifest.regions) == list(REGIONS)
    assert bundle.manifest.network("phalanx").size == (112, 56)
    assert bundle.file("regions/carpal.onnx").read_text() == "stands for regions/carpal.onnx"
    assert not list(bundle_folder.rglob("*.partial"))


def test_an_incomplete_bundle_gets_no_manifest(bundle_folder: Path) -> None:
    (bundle_folder / "manifest.json").unlink()
    (bundle_folder / "intervals.json").unlink()
    with pytest.raises(InputError, match=r"intervals\.json is missing"):
        write_bundle_manifest(bundle_folder, **TOY)
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
        (lambda manifest: manifest["networks"][0].update(region="elbow"), "unknown region 'elbow'; known are hand"),
        (lambda manifest: manifest["networks"][0].update(margin=-1), "networks.0.margin"),
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


def test_18_9_a_file_that_is_not_listed_is_refused(bundle_folder: Path) -> None:
    (bundle_folder / "regions" / "hand.onnx.data").write_text("weights that nobody vouches for")
    assert "hand.onnx.data: not listed in manifest.json" in refusal(bundle_folder)


def test_18_10_a_file_too_large_is_refused_before_it_is_hashed(bundle_folder: Path) -> None:
    with (bundle_folder / "regions" / "hand.onnx").open("wb") as file:
        file.truncate(5 * 2**30)  # sparse
    began = time.monotonic()
    assert "larger than 512 MB" in refusal(bundle_folder)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda manifest: manifest["networks"].append(manifest["networks"][0]), "a region has two networks"),
        (lambda manifest: manifest["networks"].clear(), "networks"),
        (lambda manifest: manifest["finder"].update(regions=["carpal"]), "nothing finds the region radius-ulna"),
        (lambda manifest: manifest["fusion"].update(kind="vote"), "unknown fusion 'vote'; known are mean, ridge"),
        (lambda manifest: manifest.update(frame_size=[10**9, 10**9]), "frame_size"),
    ],
)
def test_parts_that_do_not_fit_together(
    bundle_folder: Path, change: Callable[[dict[str, Any]], Any], named: str
) -> None:
    edit(bundle_folder, change)
    assert named in refusal(bundle_folder)


def test_a_bundle_of_one_region_needs_no_detector(tmp_path: Path) -> None:
    network = {"region": "hand", "file": "hand.onnx", "size": (64, 48), "margin": 0.0, "features": 8}
    folder = write_toy_bundle(tmp_path / "one", finder={"kind": "whole-hand"}, networks=[network])
    bundle = Bundle.load(folder)
    assert bundle.manifest.regions == ("hand",)
    assert "detector.onnx" not in bundle.manifest.files
    assert not (folder / "detector.onnx").exists()


KEPT_SINCE_4 = ("training_data", "license_note", "metrics", "files")


def as_schema_4(manifest: dict[str, Any]) -> None:
    """A manifest as it was written before regions' networks, finder, fusion and views were recorded."""
    regions = {one["region"]: {key: one[key] for key in ("size", "margin", "features")} for one in manifest["networks"]}
    size = {"segmenter_size": manifest["segmenter"]["size"], "detector_size": manifest["finder"]["size"]}
    for name in set(manifest) - {"name", "created", "package_version", "frame_size", *KEPT_SINCE_4}:
        del manifest[name]
    manifest.update(schema_version=4, regions=regions, **size)


def test_schema_4_is_read_in_todays_words(bundle_folder: Path) -> None:
    edit(bundle_folder, as_schema_4)
    manifest = Bundle.load(bundle_folder).manifest
    assert manifest.regions == tuple(REGIONS)
    assert manifest.finder.regions == manifest.regions[1:]
    assert (manifest.fusion.kind, manifest.grid.bins, len(manifest.views)) == ("rb-fcl+trees", 240, 6)


@needs_bundle
def test_the_shipped_bundle_holds_the_files_of_its_fusion_and_of_no_other() -> None:
    manifest = Bundle.load().manifest
    own = set(FUSION_FILES[manifest.fusion.kind])
    assert own <= manifest.files.keys()
    assert not {name for names in FUSION_FILES.values() for name in names} - own & manifest.files.keys()


@pytest.mark.parametrize("schema", [4, 5])
def test_18_13_a_bundle_without_regions_is_refused_in_a_line(bundle_folder: Path, schema: int) -> None:
    def without(manifest: dict[str, Any]) -> None:
        if schema == 4:
            as_schema_4(manifest)
            manifest["regions"] = {}
        else:
            manifest["networks"].clear()

    edit(bundle_folder, without)
    assert "networks: Tuple should have at least 1 item" in refusal(bundle_folder)


def test_what_is_known_of_single_bones_is_listed_where_it_is_there(tmp_path: Path) -> None:
    folder = write_toy_bundle(tmp_path / "toy")
    assert "bones.json" not in Bundle.load(folder).manifest.files
    (folder / "bones.json").write_text("{}")
    write_bundle_manifest(folder, **TOY)
    assert "bones.json" in Bundle.load(folder).manifest.files
