"""The names of a run's files and folders, and no others: everything that reads or writes a run takes them from here.

A stage is known by its folder: ``segmenter``, ``frames``, ``detector``, ``boxes``, ``regions/REGION``,
``readings/SPLIT/REGION``, ``fusion``, ``quality``, ``aspect``.
"""

MARKER = "run.json"
CONFIG = "config.yaml"
MANIFEST = "manifest.csv"
REJECTED = "rejected.csv"
PREPARED = "prepared.json"
IMAGES = "images.csv"
ANNOTATIONS = "annotations"
ANNOTATION_FILES = ("boxes.csv", "keypoints.json", "polygons.json")
BUNDLE = "bundle"

METRICS = "metrics.json"
FINGERPRINT = "fingerprint.json"

SEGMENTER = "segmenter"
FRAMES = "frames"
DETECTOR = "detector"
BOXES = "boxes"
REGIONS = "regions"
READINGS = "readings"
FUSION = "fusion"
ASPECT = "aspect"
QUALITY = "quality"

FRAME_FILES = ("frames.npy", "bad-exports.npy", "frames.csv")
BOXES_FILE = "boxes.csv"
LABELS_FILE = "labels.csv"
READINGS_FILE = "readings.npz"
MEASURES_FILE = "measures.csv"
SAMPLES_FILE = "samples.npz"
CROPS_FILE = "crops.bin"
GATE_FILE = "quality.json"

STAGES = (SEGMENTER, FRAMES, DETECTOR, BOXES, REGIONS, READINGS, FUSION, QUALITY, ASPECT)
EVERYTHING = (MARKER, CONFIG, MANIFEST, REJECTED, PREPARED, IMAGES, ANNOTATIONS, *STAGES, BUNDLE)
"""What may lie in a run's folder."""


def region_stage(region: str) -> str:
    """The stage that trains a region's network."""
    return f"{REGIONS}/{region}"


def readings_stage(region: str, split: str = "fusion", *, tta: bool = True) -> str:
    """The stage that keeps what a region's network says of a split's hands, with or without test-time augmentation."""
    return f"{READINGS}/{split if tta else f'{split}-without-tta'}/{region}"


def network_file(stage: str) -> str:
    """The exported network of a stage, relative to the run: ``regions/carpal/carpal.onnx``."""
    return f"{stage}/{stage.rpartition('/')[2]}.onnx"
