"""What a run over a million images keeps in memory for its last lines has an end."""

import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from boneage_roi.cli.batches import report_failures
from boneage_roi.cli.sinks import MOST_FAILURES, MOST_STUDIES, Tally, ages_table, children_lines
from boneage_roi.outputs.sink import Sink
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.item import Item
from tests.outputs.studies import outcome, study

MORE = 5_000
LITTLE = 100_000
"""Bytes; of so many outcomes a few objects, not one each."""


def grown(sink: Sink, outcomes: Iterable[Outcome]) -> int:
    """Bytes that a sink keeps of outcomes."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for one in outcomes:
            sink.write(one)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return after - before


def failed(first: int, count: int) -> Iterable[Outcome]:
    return (Outcome(Item(f"{row}.png"), message=f"{row}.png: damaged") for row in range(first, first + count))


def test_a_run_with_a_million_failures_names_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()
    for one in failed(0, MOST_FAILURES):
        tally.write(one)
    assert grown(tally, failed(MOST_FAILURES, MORE)) < LITTLE
    with pytest.raises(typer.Exit) as ended:
        report_failures(tally)
    assert ended.value.exit_code == 1
    *named, more, total = capsys.readouterr().err.splitlines()
    assert (len(named), more) == (MOST_FAILURES, f"and {MORE} more")
    assert named[-1] == f"error: {MOST_FAILURES - 1}.png: damaged"
    assert total == f"{MOST_FAILURES + MORE} of {MOST_FAILURES + MORE} inputs failed"


def test_with_more_children_than_anyone_reads_of_none_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study(tmp_path / "a.dcm")
    read = outcome(tmp_path / "a.dcm")
    assert read.analysis is not None
    radiographs = (replace(read.analysis.radiograph, patient=f"C{row}") for row in range(MOST_STUDIES + 1 + MORE))
    outcomes = (replace(read, analysis=replace(read.analysis, radiograph=one)) for one in radiographs)
    sink = children_lines()
    sink.open()
    for _ in range(MOST_STUDIES + 1):
        sink.write(next(outcomes))
    assert grown(sink, outcomes) < LITTLE
    sink.close(True)
    assert capsys.readouterr().out == ""


def test_a_table_that_is_too_long_is_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    table = ages_table(("hand",), longest=50)
    table.open()
    for one in failed(0, 51):
        table.write(one)
    assert grown(table, failed(51, MORE)) < LITTLE
    table.close(True)
    assert capsys.readouterr().out == ""
