"""What the commands over many inputs do alike: list them, pass their outcomes on, and tell what failed."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from boneage_roi.cli.common import fail, interruptible, warn
from boneage_roi.errors import InputError

if TYPE_CHECKING:
    from boneage_roi.cli.sinks import Tally
    from boneage_roi.outputs.files import OutputFiles
    from boneage_roi.outputs.sink import Sink
    from boneage_roi.pipeline.batch import Outcome
    from boneage_roi.pipeline.item import Item
    from boneage_roi.pipeline.reader import BoneAgeReader


def items_of(inputs: "Sequence[str | Path]", recursive: bool = False) -> "list[Item]":
    """Inputs spread out; one that is alone and cannot be used is the user's mistake at once."""
    from boneage_roi.pipeline.inputs import list_inputs

    items = list_inputs(inputs, recursive=recursive)
    if len(items) == 1 and items[0].error:
        raise InputError(items[0].error)
    return items


def outputs_of(command: str, inputs: "Sequence[str | Path]", items: "Sequence[Item]", overwrite: bool) -> "OutputFiles":
    """What the command may write: neither its images nor the tables that list them."""
    from boneage_roi.outputs.files import OutputFiles
    from boneage_roi.pipeline.inputs import input_files

    return OutputFiles(command, input_files(inputs, items), overwrite=overwrite)


def open_reader(bundle: Path | None, aspect: str = "auto") -> "BoneAgeReader":
    """A bundle, opened for commands that only look at hands."""
    from boneage_roi.pipeline.bundle import Bundle
    from boneage_roi.pipeline.settings import ReaderSettings

    return ReaderSettings(Bundle.load(bundle), aspect=aspect).open()


def pass_on(
    outcomes: "Iterable[Outcome]", label: str, total: int, sinks: "Iterable[Sink]", kept: str, tally: "Tally"
) -> None:
    """Pass outcomes to the sinks while a bar tells how far it is; ``kept`` says what Ctrl-C leaves."""
    from boneage_roi.cli.progress import reading_progress
    from boneage_roi.outputs.sink import opened
    from boneage_roi.progress import tracked

    with interruptible(kept), opened(sinks) as write, reading_progress(lambda: tally.failed) as progress:
        for outcome in tracked(outcomes, label, total, progress):
            write(outcome)


def report_failures(tally: "Tally") -> None:
    """One line a failed input; exit 2 when it was the only one, else 1."""
    for path, message in tally.failures:
        fail(message if path in message else f"{path}: {message}")
    if tally.failed:
        if tally.failed > len(tally.failures):
            warn(f"and {tally.failed - len(tally.failures)} more")
        if tally.total > 1:
            warn(f"{tally.failed} of {tally.total} inputs failed")
        raise typer.Exit(1 if tally.total > 1 else 2)
