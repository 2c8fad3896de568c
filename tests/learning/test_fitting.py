"""Training that is stopped and resumed, its checkpoints and its curves."""

import os
import pickle
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Dataset

from boneage_roi.errors import InputError
from boneage_roi.learning.fitting import fit, one_cycle, shuffled


class Noisy(Dataset[torch.Tensor]):
    """Numbers that are disturbed anew every time, by a generator of the data set's own."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)

    def reseed(self, *numbers: int) -> None:
        self.random = np.random.default_rng(numbers)

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([float(index), self.random.normal()], dtype=torch.float32)


class Toy(lightning.LightningModule):
    def __init__(self, die_at: int = 99) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.die_at = die_at
        self.network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == self.die_at:
            raise InterruptedError("killed")

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        loss: torch.Tensor = (self.network(batch) - batch[:, :1]).abs().mean()
        self.log("mae", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self) -> Any:
        return one_cycle(self, 1e-2, weight_decay=0.1)


def train(folder: Path, *, die_at: int = 99, told: list[tuple[Any, ...]] | None = None) -> dict[str, torch.Tensor]:
    module = Toy(die_at)
    progress = (lambda *words: told.append(words)) if told is not None else None
    batches = shuffled(Noisy(), 4)
    fit(module, batches, epochs=4, folder=folder, name="round1", seed=3, progress=progress)
    return module.network.state_dict()


def test_18_16_a_training_that_was_killed_and_resumed_gives_the_same_weights(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        train(tmp_path / "killed", die_at=2)
    resumed = train(tmp_path / "killed")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    one, other = (pd.read_csv(tmp_path / name / "curves.csv").drop(columns="seconds") for name in ("whole", "killed"))
    pd.testing.assert_frame_equal(one, other)


def test_curves_are_kept_and_drawn(tmp_path: Path) -> None:
    train(tmp_path)
    table = pd.read_csv(tmp_path / "curves.csv")
    assert list(table.columns) == ["round", "epoch", "mae", "learning_rate", "seconds"]
    assert list(table.epoch) == [1, 2, 3, 4]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_progress_moves_with_every_batch(tmp_path: Path) -> None:
    told: list[tuple[Any, ...]] = []
    train(tmp_path, told=told)
    assert {title for title, *_ in told} == {"round1 (4 epochs)"}
    assert [done for _, done, _ in told] == list(range(13))
    assert {total for *_, total in told} == {12}


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["torch", "plain", "inside"])
def test_18_8_a_crafted_checkpoint_runs_nothing(tmp_path: Path, kind: str) -> None:
    target, file = tmp_path / "executed", tmp_path / "round1.ckpt"
    if kind == "plain":
        file.write_bytes(pickle.dumps(Bomb(target)))
    elif kind == "torch":
        torch.save(Bomb(target), file)
    else:
        with pytest.raises(InterruptedError):
            train(tmp_path, die_at=2)
        content = torch.load(file, weights_only=True)
        torch.save(content | {"callbacks": Bomb(target)}, file)
    with pytest.raises(InputError, match="not a checkpoint of this training"):
        train(tmp_path)
    assert not target.exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_18_14_a_cut_checkpoint_is_one_line(tmp_path: Path, share: float) -> None:
    with pytest.raises(InterruptedError):
        train(tmp_path, die_at=2)
    file = tmp_path / "round1.ckpt"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"round1\.ckpt: not a checkpoint"):
        train(tmp_path)
