"""What belongs to other splits cannot change what a stage learns."""

import json
import shutil
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

from boneage_roi.detection.dataset import write_dataset
from boneage_roi.detection.labels import build_labels
from boneage_roi.files import write_atomically
from boneage_roi.fusion.train import load_hands, train_fusion
from boneage_roi.regional_models.train import train_region
from boneage_roi.regions import REGIONS
from boneage_roi.runs.artefacts import CORNERS
from boneage_roi.runs.run import Run
from boneage_roi.segmentation.train import train_segmenter
from boneage_roi.training.artefacts import cache_readings
from tests.real.tiny import label_boxes


def ids(run: Run, *splits: str) -> set[str]:
    hands = run.manifest
    return set(hands.id[hands.split.isin(splits)])


def change_ages(run: Run, *splits: str) -> None:
    hands = run.manifest
    hands.loc[hands.split.isin(splits), "boneage"] = 3.0
    write_atomically(run.path / "manifest.csv", hands.to_csv(index=False))


def clear(run: Run, stage: str) -> None:
    shutil.rmtree(run.path / stage)


def test_every_hand_has_one_split(tiny_run: Run) -> None:
    assert tiny_run.manifest.id.is_unique
    assert all(ids(tiny_run, split) for split in ("train", "fusion", "test"))


def test_segmenter_learns_from_train_alone(segmented_run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Outlines and key points of the other splits are moved; the network must stay the same."""
    networks = []
    for changed in (False, True):
        run = Run(tmp_path_factory.mktemp("leak"))
        run.write_config(segmented_run.config)
        write_atomically(run.path / "manifest.csv", (segmented_run.path / "manifest.csv").read_bytes())
        for name in ("polygons", "keypoints"):
            drawn = json.loads((segmented_run.path / "annotations" / f"{name}.json").read_text())
            for key in drawn.keys() & ids(run, "fusion", "test") if changed else ():
                if name == "polygons":
                    drawn[key] = [[[0.1, 0.1], [0.4, 0.1], [0.1, 0.3]]]
                else:
                    drawn[key]["keypoints"] = [[0.9, 0.9, 2.0]] * 9 + [[0.8, 0.1, 2.0]] * 12
            write_atomically(run.path / "annotations" / f"{name}.json", json.dumps(drawn))
        train_segmenter(run)
        networks.append(sha256((run.path / "segmenter" / "segmenter.onnx").read_bytes()).hexdigest())
    assert networks[0] == networks[1]


def test_detector_learns_from_train_alone(tiny_run: Run, tmp_path_factory: pytest.TempPathFactory) -> None:
    labels = pd.read_csv(tiny_run.path / "detector" / "labels.csv", dtype={"id": str})
    folder = tmp_path_factory.mktemp("yolo")
    write_dataset(tiny_run, labels, folder, 64)
    learnt, kept = ({path.stem for path in (folder / "images" / part).iterdir()} for part in ("train", "held_out"))
    assert learnt == ids(tiny_run, "train") & set(label_boxes(labels))
    assert kept == ids(tiny_run, "fusion", "test") & set(label_boxes(labels))


def test_labels_of_train_hands_come_from_train_alone(copied_run: Run) -> None:
    """Key points of the other splits are moved and their boxes taken away; train hands must keep their labels."""
    before, learnt = build_labels(copied_run), ids(copied_run, "train")
    annotations = copied_run.path / "annotations"
    boxes = pd.read_csv(annotations / "boxes.csv", dtype={"id": str})
    write_atomically(annotations / "boxes.csv", boxes[boxes.id.isin(learnt)].to_csv(index=False))
    points = json.loads((annotations / "keypoints.json").read_text())
    for key in points.keys() - learnt:
        points[key]["keypoints"] = [[x + 0.05, 0.9 * y, seen] for x, y, seen in points[key]["keypoints"]]
    write_atomically(annotations / "keypoints.json", json.dumps(points))
    after = build_labels(copied_run)
    kept, again = (table[table.id.isin(learnt)].sort_values(["id", "region", *CORNERS]) for table in (before, after))
    assert kept[["id", "region"]].to_numpy().tolist() == again[["id", "region"]].to_numpy().tolist()
    np.testing.assert_allclose(kept[CORNERS], again[CORNERS], atol=1e-6)


def test_region_models_learn_from_train_alone(copied_run: Run) -> None:
    network = copied_run.path / "regions" / "carpal" / f"{'carpal'}.onnx"
    before = sha256(network.read_bytes()).hexdigest()
    clear(copied_run, f"regions/{'carpal'}")
    change_ages(copied_run, "fusion", "test")
    train_region(copied_run, "carpal")
    assert sha256(network.read_bytes()).hexdigest() == before


def test_fusion_learns_from_fusion_alone(copied_run: Run) -> None:
    """Readings of every hand lie ready and the other splits' ages are wrong; the fusion must stay the same."""
    hands, _ = load_hands(copied_run)
    files = [copied_run.path / "fusion" / name for name in ("rb_fcl.onnx", "fusion.onnx", "intervals.json")]
    before = [sha256(file.read_bytes()).hexdigest() for file in files]
    clear(copied_run, "fusion")
    clear(copied_run, "readings/fusion")
    for region in REGIONS:
        for split in ("train", "fusion", "test"):
            cache_readings(copied_run, region, split)
    change_ages(copied_run, "train", "test")
    again, ages = load_hands(copied_run)
    assert len(again) == len(hands) == len(ids(copied_run, "fusion"))
    np.testing.assert_allclose(again.features, hands.features, atol=1e-5)
    assert (ages != 3).all()
    train_fusion(copied_run)
    assert [sha256(file.read_bytes()).hexdigest() for file in files] == before
