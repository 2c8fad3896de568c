"""The region detector: Ultralytics YOLO26-nano, NMS-free, five classes, started from its YAML.

The user's machine is neither written to outside the run folder nor called from: automatic installs, the settings file,
usage events and the banner of Ultralytics are switched off before it is imported.
"""

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ARCHITECTURE = "yolo26n.yaml"


def open_yolo(weights: str | Path = ARCHITECTURE) -> Any:
    """An ``ultralytics.YOLO`` from its architecture or from a checkpoint."""
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_VERBOSE"] = "false"
    if "ultralytics" not in sys.modules:  # its settings are written when it is imported
        os.environ["YOLO_CONFIG_DIR"] = folder = tempfile.mkdtemp(prefix="boneage-roi-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    from ultralytics import settings
    from ultralytics.models import YOLO

    settings["sync"] = False
    return YOLO(str(weights))
