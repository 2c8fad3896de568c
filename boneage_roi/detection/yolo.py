"""Ultralytics' trainer with checkpoints that hold tensors only, and with epochs that can be repeated.

Ultralytics keeps whole Python objects in its checkpoints, which run code when they are read. Here the weights, their
running average and the optimizer's state are kept instead, and the network is built anew from its architecture.
"""

import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch

from boneage_roi.detection.model import ARCHITECTURE, open_yolo
from boneage_roi.errors import InputError
from boneage_roi.learning.checkpoints import load_tensors
from boneage_roi.learning.curves import add_epoch, draw
from boneage_roi.progress import Progress

CHECKPOINT = "detector.ckpt"


def train_yolo(settings: dict[str, Any], folder: Path, *, seed: int, progress: Progress | None = None) -> None:
    """Train to the end of the schedule, resuming from the last finished epoch; ``folder/detector.ckpt`` is the result.

    Args:
        settings: Ultralytics' own. With several in ``device`` it starts a process for each, and no progress is told.
        folder: the stage's, for checkpoint and curves.

    Raises:
        InputError: the checkpoint is damaged or holds more than tensors.
    """
    path, epochs = folder / CHECKPOINT, int(settings["epochs"])
    if path.is_file() and load_tensors(path).get("epoch") == epochs - 1:
        return
    open_yolo()  # sets the environment before Ultralytics is imported
    from ultralytics.models.yolo.detect import DetectionTrainer
    from ultralytics.utils.torch_utils import unwrap_model

    class TensorTrainer(DetectionTrainer):  # type: ignore[misc]
        def save_model(self) -> bool:
            content = {
                "epoch": self.epoch,
                "model": unwrap_model(self.model).state_dict(),
                "ema": self.ema.ema.state_dict(),
                "updates": self.ema.updates,
                "optimizer": self.optimizer.state_dict(),
            }
            partial = path.with_suffix(".partial")
            torch.save(content, partial)
            partial.replace(path)
            return True

        def resume_training(self, ckpt: Any) -> None:
            if not path.is_file():
                return
            kept, network = load_tensors(path), unwrap_model(self.model)
            try:
                network.load_state_dict(kept["model"])
                self.ema.ema.load_state_dict(kept["ema"])
                self.optimizer.load_state_dict(kept["optimizer"])
                self.ema.updates, self.start_epoch = int(kept["updates"]), int(kept["epoch"]) + 1
            except (KeyError, RuntimeError, TypeError, ValueError):
                raise InputError(
                    f"{path}: not a checkpoint of this detector; delete it, and its stage starts over"
                ) from None
            # The weight of the one-to-many loss falls with every epoch.
            network.criterion = network.init_criterion()
            for _ in range(self.start_epoch):
                network.criterion.update()

        def final_eval(self) -> None:
            """Nothing: the detector is measured after its export."""

        def read_results_csv(self) -> dict[str, Any]:
            return {}

    told = None if "," in str(settings.get("device")) else progress  # a terminal's bars cannot go to other processes
    trainer = TensorTrainer(overrides={"model": ARCHITECTURE, **settings})

    def begin_epoch(trainer: Any) -> None:
        from ultralytics.utils.torch_utils import init_seeds

        init_seeds(1_000_003 * seed + trainer.epoch)
        trainer.train_loader.reset()  # a new iterator draws a seed itself: all epochs begin alike
        trainer.train_loader.generator.manual_seed(1_000_003 * seed + trainer.epoch)

    def tell(trainer: Any) -> None:
        if told is not None:
            batches = len(trainer.train_loader)
            counted["batches"] += 1
            done = trainer.start_epoch * batches + counted["batches"]
            told(f"detector ({epochs} epochs)", min(done, epochs * batches), epochs * batches)

    def keep_curve(trainer: Any) -> None:
        if int(os.environ.get("RANK", "0")):
            return
        losses = {name: float(value) for name, value in (trainer.tloss or {}).items()}
        add_epoch(folder, "detector", trainer.epoch + 1, {**losses, "learning_rate": trainer.lr["lr/pg0"]})

    counted = {"batches": 0}
    trainer.add_callback("on_train_epoch_start", begin_epoch)
    trainer.add_callback("on_train_batch_end", tell)
    trainer.add_callback("on_train_epoch_end", keep_curve)
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # it shows a bar of its own
        trainer.train()
    draw(folder)


def trained_yolo(folder: Path, names: dict[int, str], size: int) -> Any:
    """An ``ultralytics.YOLO`` with the weights that :func:`train_yolo` left, ready to be exported and measured.

    Args:
        names: the classes by their index.
        size: of the square input, pixels.
    """
    opened = open_yolo()
    from ultralytics.cfg import DEFAULT_CFG_DICT
    from ultralytics.nn.tasks import DetectionModel

    network = DetectionModel(ARCHITECTURE, ch=3, nc=len(names), verbose=False)
    network.load_state_dict(load_tensors(folder / CHECKPOINT)["ema"])
    network.names = names
    network.args = {**DEFAULT_CFG_DICT, "imgsz": size, "task": "detect", "model": ARCHITECTURE}
    network.task = "detect"
    opened.model = network.float().eval()
    opened.overrides |= {"imgsz": size, "task": "detect"}
    return opened
