"""Training the region detector and measuring it on hands outside its training."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from numpy.typing import NDArray

from boneage_roi.detection.dataset import write_dataset
from boneage_roi.detection.labels import build_labels
from boneage_roi.detection.naming import name_boxes
from boneage_roi.detection.runtime import Detector
from boneage_roi.detection.yolo import train_yolo, trained_yolo
from boneage_roi.files import write_atomically
from boneage_roi.imaging.frame import magnification
from boneage_roi.learning.devices import Devices
from boneage_roi.learning.fitting import tune_cpu
from boneage_roi.learning.onnx_export import halve_weights
from boneage_roi.progress import Progress
from boneage_roi.regions import GROWTH_PLATES, REGIONS, detected
from boneage_roi.runs import layout
from boneage_roi.runs.artefacts import CORNERS, FrameCache, reading_stage
from boneage_roi.runs.run import Run


def train_detector(run: Run, progress: Progress | None = None) -> dict[str, Any]:
    """Build labels, train, export and measure the detector in ``run/detector``; does nothing when that is done.

    Needs the run's frames.

    Returns:
        mAP50 and mAP50-95 on annotated hands outside ``train``; per region, the share of ``test`` hands on which
        enough of it was found.
    """
    if (metrics := run.begin(layout.DETECTOR)) is not None:
        return metrics
    config, folder = run.config.detector, run.stage(layout.DETECTOR)
    if not (folder / layout.LABELS_FILE).is_file():
        write_atomically(folder / layout.LABELS_FILE, build_labels(run).round(2).to_csv(index=False))
    with reading_stage(folder / layout.LABELS_FILE):
        labels = pd.read_csv(folder / layout.LABELS_FILE, dtype={"id": str})[["id", "region", *CORNERS]]
    data = write_dataset(run, labels, folder / "data", config.size)
    tune_cpu()
    train_yolo(_settings(run, data, folder), folder, seed=run.config.seed, progress=progress)
    detector = trained_yolo(folder, dict(enumerate(detected(run.config.regions))), config.size)
    network = run.network(layout.DETECTOR)
    _export(detector, config.size, folder, network)
    measured = detector.val(
        data=str(data),
        imgsz=config.size,
        nms=False,
        batch=16,
        workers=0,
        plots=False,
        verbose=False,
        project=str(folder.resolve()),  # or else a folder `runs` appears where the user stands
        name="measured",
        exist_ok=True,
        device="cpu",
    )
    metrics = {
        "split": "annotated hands of fusion + test",
        "regions": list(detected(run.config.regions)),
        "map50": round(float(measured.box.map50), 4),
        "map50_95": round(float(measured.box.map), 4),
        "found": found_shares(run, Detector(network, detected(run.config.regions))),
        "landmarks": landmark_errors(run, labels, Detector(network, detected(run.config.regions))),
    }
    for name in ("data", "yolo", "measured"):
        shutil.rmtree(folder / name, ignore_errors=True)
    run.finish(layout.DETECTOR, metrics, outputs=[network.name])
    return metrics


def _export(detector: Any, size: int, folder: Path, path: Path) -> None:
    """Write the detector as ONNX."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        detector.model.pt_path = str(Path(place) / "detector.pt")
        made = detector.export(format="onnx", imgsz=size, nms=False, simplify=False, opset=17, verbose=False)
        network = halve_weights(onnx.load(made))
        del network.metadata_props[:]  # they hold the time, and no two exports would be the same
        write_atomically(path, network.SerializeToString())


def _settings(run: Run, data: Path, folder: Path) -> dict[str, Any]:
    """Frames are upright and filled by the hand, so that mild poses do and mosaics would only hide them."""
    config = run.config.detector
    return {
        "data": str(data),
        "epochs": config.epochs,
        "imgsz": config.size,
        "batch": config.batch,
        "nbs": config.batch,
        "seed": run.config.seed,
        "project": str(folder.resolve()),
        "name": "yolo",
        "exist_ok": True,
        "pretrained": False,
        "optimizer": "AdamW",
        "lr0": config.learning_rate,
        "cos_lr": True,
        "warmup_epochs": config.warm_up_epochs,
        "mosaic": 0.0,
        "degrees": config.degrees,
        "translate": config.translate,
        "scale": config.scale,
        "hsv_h": 0.0,
        "hsv_s": 0.0,
        "hsv_v": config.brightness,
        "erasing": 0.0,
        "workers": 0,
        "cache": "ram",
        "amp": False,
        "val": False,
        "plots": False,
        **_devices(run.devices),
    }


def _devices(devices: Devices) -> dict[str, Any]:
    """Ultralytics' list of devices; it trains on the GPUs of one machine, and on a single one unless told."""
    import torch

    several = devices.count > 1 and torch.cuda.device_count() > 1
    return {"device": ",".join(map(str, range(devices.count)))} if several else {}


def enough(region: str) -> int:
    """How many crops of a region make a hand complete enough to read."""
    return REGIONS[region].enough or REGIONS[region].max_crops


def found_shares(run: Run, detector: Detector) -> dict[str, Any]:
    """Per region, the share of all ``test`` hands on which it was found: one, 4 of 5 digits, 14 of 16 growth plates.

    Without hands in ``test`` there are no shares.
    """
    frames, hands = FrameCache(run), run.manifest
    test = hands.id[(hands.split == "test") & hands.id.isin(frames.table.index)]
    counts = []
    for key in test:
        boxes = detector(frames[key])
        counts.append({region: sum(box.region == region for box in boxes) for region in detector.regions})
    if not counts:
        return {"hands": 0}
    table = pd.DataFrame(counts)
    shares = {
        region: {
            "enough": enough(region),
            "share": round(float(np.mean(table[region] >= enough(region))), 4),
            "all": round(float(np.mean(table[region] == REGIONS[region].max_crops)), 4),
        }
        for region in detector.regions
    }
    return {"hands": len(table), **shares}


def landmark_errors(run: Run, labels: pd.DataFrame, detector: Detector) -> dict[str, dict[str, float]]:
    """How far the middles of named growth plates lie from the labelled ones on annotated hands outside ``train``.

    Returns:
        By growth plate, ``hands`` on which it was found and named, and the mean Euclidean distance in pixels of the
        ``frame`` and of the ``radiograph``; nothing when the run does not look for growth plates.
    """
    frames, splits, errors = FrameCache(run), run.manifest.set_index("id").split, []
    for key, rows in labels[labels.region == "epiphysis"].groupby("id"):
        if splits[key] == "train" or len(rows) != len(GROWTH_PLATES):
            continue
        frame = frames[str(key)]
        true = dict(zip(GROWTH_PLATES, _middles(rows[CORNERS].to_numpy(float)), strict=True))
        for box in name_boxes(detector(frame)):
            if box.region == "epiphysis" and box.name in true:
                away = float(np.hypot(*(_middles(np.array([box.box]))[0] - true[box.name])))
                errors.append({"plate": box.name, "frame": away, "radiograph": away / magnification(frame.to_frame)})
    table = pd.DataFrame(errors, columns=["plate", "frame", "radiograph"])
    found: dict[str, dict[str, float]] = {}
    for plate in GROWTH_PLATES:
        own = table[table.plate == plate]
        if len(own):
            off = {name: round(float(own[name].mean()), 2) for name in ("frame", "radiograph")}
            found[plate] = {"hands": len(own), **off}
    return found


def _middles(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """The middles (N, 2) of boxes (N, 4)."""
    return np.asarray((corners[:, :2] + corners[:, 2:]) / 2)
