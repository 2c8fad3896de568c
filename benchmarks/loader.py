"""Does the making of samples keep a device busy? Images a second of the loader alone, against the training step.

    python benchmarks/loader.py --preset default --region hand --loaders 0 1 2
    python benchmarks/loader.py --region hand --hands 12000 --memory
    python benchmarks/loader.py --region hand --memory --run runs/default

The crops are noise of the settings' size: what is done to them does not depend on what they show. ``--memory`` writes
the crops of so many hands, with bad exports, and tells what the process holds of them and what their file takes. With
``--run`` they are the crops of a run's `train` hands, cut from its hand frames and bad exports as a training does.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.learning.devices import Devices
from boneage_roi.learning.fitting import shuffled
from boneage_roi.regional_models.crops import Crops
from boneage_roi.regional_models.dataset import CONTEXT, RegionDataset, RegionSample
from boneage_roi.regional_models.mapped import MappedSamples
from boneage_roi.regional_models.networks import build_network
from boneage_roi.regional_models.train import RegionTraining, cut_samples
from boneage_roi.regions import REGIONS
from boneage_roi.runs.run import Run


def noise(hands: int, crops: int, size: tuple[int, int]) -> Iterator[RegionSample]:
    """Samples with as many crops as the region has, with bad exports."""
    height, width = (round(CONTEXT * side) for side in size)
    random = np.random.default_rng(0)
    strip = random.integers(0, 256, (crops, height, width + 64), np.uint8)
    places = random.random((crops, 4)).astype(np.float32)
    for number in range(hands):
        pixels = strip[:, :, number % 64 : number % 64 + width]
        sample = Crops(pixels, places, 1.0)
        yield RegionSample(sample, float(random.uniform(12, 220)), float(number % 2), sample)


def held() -> tuple[float, float]:
    """Memory of this process: its own, and that of mapped files, which the system takes back when it needs it; GB."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    known = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
    return int(known["RssAnon"]) / 2**20, int(known["RssFile"]) / 2**20


def loader_rate(dataset: RegionDataset, batch: int, loaders: int) -> float:
    """Images a second, the start of the processes left out."""
    batches = iter(shuffled(dataset, batch, drop_last=True, devices=Devices(workers=loaders)))
    next(batches)
    started, count = time.perf_counter(), 0
    for crops, *_ in batches:
        count += len(crops)
    return count / (time.perf_counter() - started)


def step_rate(config: TrainConfig, region: str, dataset: RegionDataset, precision: str, steps: int) -> float:
    """Images a second of forward, backward and optimizer on batches that are made already."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    settings = config.regions[region]
    module = RegionTraining(build_network(settings, config.grid), settings, settings.rounds[0], config.grid).to(device)
    module.log_dict = lambda *_, **__: None  # type: ignore[method-assign]
    optimizer = torch.optim.AdamW(module.parameters())
    first = next(iter(shuffled(dataset, settings.batch, drop_last=True)))
    given = tuple(part.to(device) for part in first)
    kind = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    for step in range(steps + 1):
        if step == 1:  # the first one warms up
            if device == "cuda":
                torch.cuda.synchronize()
            started = time.perf_counter()
        with torch.autocast(device, kind or torch.bfloat16, enabled=kind is not None):
            loss = module.training_step(given, 0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    if device == "cuda":
        torch.cuda.synchronize()
    return steps * len(first[0]) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--run", type=Path, help="take the crops of this run in place of noise")
    parser.add_argument("--region", default="hand")
    parser.add_argument("--hands", type=int, default=512, help="at the most")
    parser.add_argument("--loaders", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--memory", action="store_true", help="tell the memory and go through all samples once")
    arguments = parser.parse_args()
    config, region = TrainConfig.load(arguments.preset), arguments.region
    settings, crops = config.regions[region], REGIONS[region].max_crops
    with tempfile.TemporaryDirectory() as folder:
        before, _ = held()
        file = Path(folder) / "crops.bin"
        made = noise(arguments.hands, crops, settings.size)
        if arguments.run is not None:
            run = Run(arguments.run)
            settings = run.config.regions[region]
            made = islice(cut_samples(run, region, settings.size, settings.margin, "train", None), arguments.hands)
        samples = MappedSamples(file, made)
        dataset = RegionDataset(samples, settings.size, crops, seed=0, augmentation=1.0, bad_exports=0.3)
        if arguments.memory:
            started = time.perf_counter()
            total = sum(int(sample.crops.pixels[0, 0, 0]) + int(sample.crops.pixels[-1, -1, -1]) for sample in samples)
            own, mapped = held()
            size = file.stat().st_size / 2**30
            print(f"{len(samples)} hands: file {size:.2f} GB, own memory +{own - before:.2f} GB (all {own:.2f} GB)")
            print(f"mapped and shared {mapped:.2f} GB; {time.perf_counter() - started:.0f} s, checksum {total}")
            return
        for loaders in arguments.loaders:
            rate = loader_rate(dataset, settings.batch, loaders)
            print(f"loader, {loaders} processes: {rate:.0f} images/s", flush=True)
    rate = step_rate(config, region, dataset, arguments.precision, arguments.steps)
    print(f"step, {arguments.precision}, {'GPU' if torch.cuda.is_available() else 'CPU'}: {rate:.1f} images/s")


if __name__ == "__main__":
    main()
