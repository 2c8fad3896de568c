"""Several processes read the same ages as one, in the same order; one that breaks costs its one image."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest

from boneage_roi.errors import InputError
from boneage_roi.outputs.records import result_record
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.engines import Work, find_engine, read_here
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.settings import ReaderSettings
from boneage_roi.pipeline.workers import predict_parallel
from boneage_roi.values import Analysis, Radiograph
from tests.bundles import EXAMPLES, needs_bundle, write_toy_bundle

linux = pytest.mark.skipif(sys.platform != "linux", reason="finds child processes in /proc")


def children() -> list[int]:
    tasks = Path("/proc/self/task").glob("*/children")
    return [int(pid) for task in tasks for pid in task.read_text().split()]


def records(settings: ReaderSettings, items: list[Item], workers: int) -> list[dict[str, object]]:
    regions = settings.bundle.manifest.regions
    return [result_record(outcome, regions) for outcome in read_here(Work(settings, workers))(items)]


@needs_bundle
def test_two_workers_say_what_one_says(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no image")
    blank = np.random.default_rng(0).integers(0, 255, (300, 200), dtype=np.uint8)
    assert cv2.imwrite(str(tmp_path / "noise.png"), blank)
    items = list_inputs([tmp_path / "nowhere.png", EXAMPLES, tmp_path / "broken.png", tmp_path / "noise.png"])
    settings = ReaderSettings(Bundle.load(), tta=False)
    alone, together = (records(settings, items, workers) for workers in (1, 2))
    assert together == alone
    assert [record["path"] for record in alone] == [item.path for item in items]
    assert {record["status"] for record in alone} == {"ok", "error", "rejected"}


@needs_bundle
@linux
def test_a_killed_worker_costs_one_image_and_is_replaced() -> None:
    items = list_inputs(EXAMPLES)
    outcomes = read_here(Work(ReaderSettings(Bundle.load(), tta=False), 2))(items)
    before = set(children())
    got = [next(outcomes)]
    started = [pid for pid in children() if pid not in before]
    assert len(started) == 2
    os.kill(started[0], signal.SIGKILL)
    got += outcomes
    assert [outcome.item for outcome in got] == items
    (broken,) = [outcome for outcome in got if outcome.message]
    assert "SIGKILL" in broken.message
    assert broken.message.startswith(broken.item.path)
    assert not set(children()) - before, "workers are left over"


@needs_bundle
@linux
def test_workers_end_when_nobody_wants_more() -> None:
    before = set(children())
    outcomes = read_here(Work(ReaderSettings(Bundle.load(), tta=False), 2))(list_inputs(EXAMPLES))
    next(outcomes)
    assert set(children()) - before
    outcomes.close()  # type: ignore[attr-defined]
    assert not set(children()) - before


@needs_bundle
def test_items_are_taken_as_they_are_needed() -> None:
    taken = []

    def endless() -> Iterator[Item]:
        while True:
            taken.append(1)
            yield Item("nowhere.png")

    outcomes = read_here(Work(ReaderSettings(Bundle.load(), tta=False), 2))(endless())
    for _ in range(5):
        assert next(outcomes).status == "error"
    assert len(taken) < 20
    outcomes.close()  # type: ignore[attr-defined]


@needs_bundle
def test_outcomes_bring_their_pictures_only_where_somebody_draws_them() -> None:
    settings, items = ReaderSettings(Bundle.load(), tta=False), list_inputs(EXAMPLES / "girl-10y.png")

    def side(pixels: bool) -> int:
        outcome: Outcome
        (outcome,) = read_here(Work(settings, 2, pixels=pixels))(items)
        assert outcome.analysis is not None
        return len(outcome.analysis.radiograph.pixels)

    assert side(True) > 100
    assert side(False) == 0


class Stuck:
    """In the place of a bundle: never comes to an end with a child of 120 cm."""

    def open(self, threads: int | None = None) -> "Stuck":
        return self

    def analyse(self, radiograph: Radiograph) -> Analysis:
        if radiograph.height_cm == 120:
            time.sleep(3600)
        raise InputError("was read")


def test_a_worker_that_is_stuck_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boneage_roi.pipeline.workers.PATIENCE", 6)
    picture = str(EXAMPLES / "girl-10y.png")
    items = [Item(picture), Item(picture, height_cm=120), Item(picture)]
    outcomes = list(predict_parallel(cast(ReaderSettings, Stuck()), items, 1))
    assert [outcome.message for outcome in outcomes] == [
        "was read",
        f"{picture}: the process that read it took more than 6 s; read this image alone",
        "was read",
    ]


def test_a_bundle_that_no_worker_can_open_is_the_users_mistake(tmp_path: Path) -> None:
    settings = ReaderSettings(Bundle.load(write_toy_bundle(tmp_path / "bundle")))
    with pytest.raises(InputError, match=r"segmenter\.onnx"):
        list(read_here(Work(settings, 2))([Item("a.png")]))


@needs_bundle
def test_a_script_without_a_main_guard_may_use_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import boneage_roi as br\n"
        f"table = br.predict_table({str(EXAMPLES / 'girl-10y.png')!r}, sex='F', tta=False, workers=2)\n"
        "print(len(table), table['status'][0])\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment)
    assert done.stdout == "1 ok\n", done.stderr


def test_a_wrong_engine_lists_the_right_ones() -> None:
    with pytest.raises(InputError, match="known are local, ray"):
        find_engine("loco")


def test_a_cluster_that_is_not_there_is_told_at_once() -> None:
    pytest.importorskip("ray")
    settings = cast(ReaderSettings, Stuck())
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1"):
        with pytest.raises(InputError, match=f"no Ray cluster at {address} .*refused"):
            find_engine("ray")(Work(settings, 1, address=address))
