"""How long each preset would train: seconds of a training step, times the steps of its epochs.

    python benchmarks/budget.py --size small --hands 9000

Times are of one core, whatever else the machine does: 90 of these minutes are 45 on two cores. Steps alone: frames,
readings, fusion and gate come on top.
"""

import time
from typing import Annotated

import torch
import typer

from boneage_roi.configs.schema import RegionConfig, RoundConfig, TrainConfig, preset_files
from boneage_roi.regional_models.networks import build_network
from boneage_roi.regional_models.train import RegionTraining
from boneage_roi.regions import REGIONS
from boneage_roi.values import AgeGrid


def main(
    size: Annotated[str, typer.Option()] = "small",
    hands: int = 9000,
    steps: int = 2,
    only: Annotated[list[str] | None, typer.Option(help="Names of presets; may come several times.")] = None,
) -> None:
    """Print minutes by preset and region."""
    torch.set_num_threads(1)
    print(f"| preset | region | parameters | core minutes with {hands} hands |\n|---|---|---|---|")
    for name in only or preset_files():
        content = preset_files()[name].read_text(encoding="utf-8")
        if size != "full" and f"\n  {size}:" not in content:
            continue
        config, total = TrainConfig.load(name, size), 0.0
        for region, settings in config.regions.items():
            minutes, parameters = region_minutes(region, settings, config.grid, hands, steps)
            total += minutes
            print(f"| {name} | {region} | {parameters / 1e6:.2f} M | {minutes:.1f} |", flush=True)
        print(f"| **{name}** | all | | **{total:.0f}** |", flush=True)


def region_minutes(region: str, settings: RegionConfig, grid: AgeGrid, hands: int, steps: int) -> tuple[float, int]:
    """Minutes that a region's rounds would take, and the network's parameters."""
    network = build_network(settings.model_copy(update={"weights": "none"}), grid)
    crops, seconds = REGIONS[region].max_crops, 0.0
    for one in settings.rounds:
        seconds += one.epochs * hands / settings.batch * step_seconds(network, settings, one, grid, crops, steps)
    return seconds / 60, sum(value.numel() for value in network.parameters())


def step_seconds(
    network: torch.nn.Module, settings: RegionConfig, one: RoundConfig, grid: AgeGrid, crops: int, steps: int
) -> float:
    """Seconds of a training step, the median of some; the first is not counted."""
    module = RegionTraining(network, settings, one, grid)  # type: ignore[arg-type]
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    height, width = one.size or settings.size
    batch = (
        torch.rand(settings.batch, crops, 1, height, width),
        torch.ones(settings.batch, crops),
        torch.rand(settings.batch, crops, 4),
        torch.ones(settings.batch),
        torch.full((settings.batch,), 100.0),
    )
    network.train()
    module.on_train_epoch_start()
    spent = []
    for _ in range(steps + 1):
        started = time.process_time()
        module.training_step(batch, 0).backward()  # type: ignore[no-untyped-call]
        spent.append(time.process_time() - started)
    for parameter in network.parameters():
        parameter.requires_grad_(True)
    return sorted(spent[1:])[len(spent[1:]) // 2]


if __name__ == "__main__":
    from script import run_typed

    run_typed(main)
