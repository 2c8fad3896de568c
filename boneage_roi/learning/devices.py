"""What networks are trained on: how many devices and machines, and with which numbers."""

import os
from dataclasses import dataclass
from functools import cache
from typing import Any
from zlib import crc32

from boneage_roi.errors import InputError

PRECISIONS = ("32-true", "bf16-mixed", "16-mixed")
"""The numbers that a network computes with, in Lightning's words: float32, or 16 bits where these suffice."""


@dataclass(frozen=True)
class Devices:
    """What networks are trained on.

    Training on several is data-parallel: each device reads its share of every batch, the gradients are averaged, and
    the weights stay the same everywhere. A batch has the settings' size over all devices together.

    Attributes:
        count: devices of a machine: its GPUs, or processes where it has none.
        nodes: machines. Each runs the same command, with ``NODE_RANK`` set to its number, from 0, and ``MASTER_ADDR``
            and ``MASTER_PORT`` to where machine 0 listens. All see the same run folder. Slurm's number is known.
        precision: one of :data:`PRECISIONS`.
        workers: processes a device that make its samples; 0 makes them between the steps, in the device's own process.
    """

    count: int = 1
    nodes: int = 1
    precision: str = "32-true"
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.precision not in PRECISIONS:
            raise InputError(f"precision {self.precision!r} is unknown; known are {', '.join(PRECISIONS)}")
        if min(self.count, self.nodes) < 1 or self.workers < 0:
            raise InputError("there must be at least one device and one node, and no fewer than 0 loader processes")
        if self.nodes > 1:
            missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
            if missing or not _node():
                name = missing[0] if missing else "NODE_RANK"
                raise InputError(f"{self.nodes} nodes need the variable {name}; see docs/how-to/train-on-many-gpus.md")
            if not (_node().isdigit() and int(_node()) < self.nodes):
                raise InputError(f"NODE_RANK {_node()!r}: write a number from 0 to {self.nodes - 1}")

    @property
    def world(self) -> int:
        """Devices of all machines."""
        return self.count * self.nodes

    @property
    def node(self) -> int:
        """Which machine this is, from 0."""
        return int(_node()) if self.nodes > 1 else 0

    @property
    def leads(self) -> bool:
        """Whether this machine does all that is not shared: it alone writes into the run."""
        return self.node == 0

    def check(self) -> None:
        """Do nothing when this machine has the devices; asks PyTorch.

        Raises:
            InputError: it has fewer GPUs, or none for float16.
        """
        import torch

        gpus = torch.cuda.device_count()
        if gpus and self.count > gpus:
            raise InputError(f"{self.count} devices: this machine has {gpus} GPUs that PyTorch can use")
        if not gpus and self.precision == "16-mixed":
            raise InputError("precision 16-mixed needs a GPU; take bf16-mixed or 32-true")

    def trainer_options(self, name: str) -> dict[str, Any]:
        """What Lightning's trainer is told.

        Args:
            name: of the training: two that follow each other must not meet at one port.
        """
        options: dict[str, Any] = {"accelerator": "auto", "devices": self.count, "precision": self.precision}
        if self.world == 1:
            return options
        import torch
        from lightning.fabric.plugins.environments.lightning import LightningEnvironment
        from lightning.pytorch.strategies import DDPStrategy

        if self.nodes > 1:
            os.environ["NODE_RANK"] = str(self.node)
            os.environ["MASTER_PORT"] = str(_first_port() + crc32(name.encode()) % PORTS)
        else:
            os.environ.pop("MASTER_PORT", None)  # Lightning finds a free one, and leaves it there
        return options | {
            "num_nodes": self.nodes,
            "strategy": DDPStrategy(start_method="spawn"),  # the command itself is not started again
            "plugins": [LightningEnvironment()],
            "sync_batchnorm": torch.cuda.device_count() > 0,  # PyTorch has it for GPUs alone
            "use_distributed_sampler": False,
        }


PORTS = 100
"""Ports from ``MASTER_PORT`` on that trainings on several machines use."""

ONE_DEVICE = Devices()


@cache
def _first_port() -> int:
    """What the user set; every training changes the variable."""
    port = os.environ["MASTER_PORT"]
    if not (port.isdigit() and 0 < int(port) <= 65535 - PORTS):
        raise InputError(f"MASTER_PORT {port!r}: write a number up to {65535 - PORTS}")
    return int(port)


def _node() -> str:
    return os.environ.get("NODE_RANK") or os.environ.get("SLURM_NODEID") or ""
