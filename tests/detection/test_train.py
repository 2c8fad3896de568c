"""What Ultralytics is told about the devices of a training; several GPUs are played, for none may be at hand."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

pytest.importorskip("ultralytics", reason="needs the extra train")

from boneage_roi.detection import train
from boneage_roi.learning.devices import Devices
from boneage_roi.runs.run import Run
from tests.training.runs import config, hands_of_every_split, write_frames, write_run


class Told(Exception):
    """What would be trained with these settings."""


@pytest.mark.parametrize(("gpus", "count", "device"), [(4, 4, "0,1,2,3"), (4, 2, "0,1"), (4, 1, None), (0, 2, None)])
def test_the_detector_is_trained_on_as_many_gpus_as_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpus: int, count: int, device: str | None
) -> None:
    network = {"stages": 3, "size": (32, 26), "rounds": [{"epochs": 1}], "batch": 4}
    regions = {"hand": network, "carpal": network}
    made = write_run(tmp_path / "run", hands_of_every_split(6, 2), config(regions=regions))
    write_frames(made)
    labels = [
        {"id": key, "region": "carpal", "xmin": 5, "ymin": 5, "xmax": 30, "ymax": 30} for key in made.manifest["id"]
    ]

    def trained(settings: dict[str, Any], *_: Any, **__: Any) -> None:
        raise Told(settings)

    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    monkeypatch.setattr(train, "build_labels", lambda _: pd.DataFrame(labels))
    monkeypatch.setattr(train, "train_yolo", trained)
    with pytest.raises(Told) as told:
        train.train_detector(Run(made.path, Devices(count=count)))
    settings = told.value.args[0]
    assert settings.get("device") == device
    assert settings["batch"] == made.config.detector.batch  # over all devices together
