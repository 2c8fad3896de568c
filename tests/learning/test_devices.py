"""Training on several devices, here processes of one machine, gives what a single one gives."""

from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import Dataset

from boneage_roi.errors import InputError
from boneage_roi.learning.devices import Devices
from boneage_roi.learning.fitting import fit, one_cycle, shuffled


class Noisy(Dataset[torch.Tensor]):
    """Numbers that are disturbed anew every time."""

    def __init__(self, count: int = 26) -> None:
        self.count = count
        self.random = np.random.default_rng(0)

    def reseed(self, *numbers: int) -> None:
        self.random = np.random.default_rng(numbers)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.tensor([index / self.count, self.random.normal()], dtype=torch.float32)


class Toy(lightning.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.network = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        loss: torch.Tensor = (self.network(batch) - batch[:, :1]).square().mean()
        self.log("loss", loss, on_step=False, on_epoch=True, sync_dist=True)
        return loss

    def configure_optimizers(self) -> Any:
        return one_cycle(self, 1e-2, weight_decay=0.1)


def train(folder: Path, devices: Devices, told: list[tuple[Any, ...]] | None = None) -> torch.Tensor:
    module = Toy()
    progress = (lambda *words: told.append(words)) if told is not None else None
    batches = shuffled(Noisy(), 8, drop_last=True, devices=devices)
    fit(module, batches, epochs=3, folder=folder, name="round1", seed=3, progress=progress, devices=devices)
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_two_devices_learn_what_one_learns(tmp_path: Path) -> None:
    told: list[tuple[Any, ...]] = []
    one = train(tmp_path / "one", Devices())
    two = train(tmp_path / "two", Devices(count=2), told)
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-6)
    curve, other = (pd.read_csv(tmp_path / name / "curves.csv").drop(columns="seconds") for name in ("one", "two"))
    pd.testing.assert_frame_equal(curve, other, rtol=1e-4)
    assert [words[1:] for words in told] == [(done, 9) for done in range(10)]  # each step once: one device tells
    assert sorted(path.name for path in (tmp_path / "two").glob("*.c*")) == ["curves.csv", "round1.ckpt"]


def test_processes_that_make_samples_change_nothing(tmp_path: Path) -> None:
    assert torch.equal(train(tmp_path / "none", Devices()), train(tmp_path / "two", Devices(workers=2)))


def test_every_sample_is_seen_once_an_epoch_by_one_device_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = shuffled(Noisy(), 8, drop_last=True, devices=Devices(count=2)).sampler
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    shares = []
    for rank in (0, 1):
        monkeypatch.setattr(torch.distributed, "get_rank", lambda rank=rank: rank)
        shares.append([key[-1] for key in sampler])
    assert [len(share) for share in shares] == [12, 12]
    assert len({*shares[0], *shares[1]}) == 24


def test_bfloat16_trains_too(tmp_path: Path) -> None:
    whole, half = (train(tmp_path / name, Devices(precision=name)) for name in ("32-true", "bf16-mixed"))
    assert not torch.equal(whole, half)
    torch.testing.assert_close(half, whole, rtol=0, atol=0.05)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "64-true"}, "known are 32-true, bf16-mixed, 16-mixed"),
        ({"count": 0}, "at least one device"),
        ({"nodes": 2}, "2 nodes need the variable MASTER_ADDR"),
    ],
)
def test_what_cannot_be_is_one_line(settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(InputError, match=message):
        Devices(**settings)


def test_float16_needs_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="16-mixed needs a GPU"):
        Devices(precision="16-mixed").check()
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match="2 devices: this machine has 1 GPUs"):
        Devices(count=2).check()


def test_tensorboard_gets_its_files_where_it_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    train(tmp_path / "with", Devices())
    assert list((tmp_path / "with/tensorboard/round1").glob("events.out.tfevents.*"))
    monkeypatch.setattr("boneage_roi.learning.fitting.find_spec", lambda name: None)
    train(tmp_path / "without", Devices())
    assert not (tmp_path / "without/tensorboard").exists()
