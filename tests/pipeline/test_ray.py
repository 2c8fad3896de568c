"""A Ray cluster of two machines gives the rows of one, also when one of the two is lost. `.ci/run ray` runs it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from boneage_roi.outputs.records import result_record
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.engines import Work, find_engine, read_here
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.settings import ReaderSettings
from tests.bundles import EXAMPLES, needs_bundle

ray = pytest.importorskip("ray")

pytestmark = [needs_bundle, pytest.mark.ray]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two machines of one core each beside one that only leads, as Ray plays them on one."""
    from ray.cluster_utils import Cluster

    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    memory = {"object_store_memory": 100 * 2**20}
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **memory})
    cluster.readers = [cluster.add_node(num_cpus=1, **memory) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def reading_processes() -> int:
    """Processes of this machine that hold a bundle open for an actor."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found += b"boneage_roi.pipeline.workers import serve" in path.read_bytes()
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="counts processes in /proc")
def test_two_machines_say_what_one_says_and_one_may_be_lost(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no image")
    settings = ReaderSettings(Bundle.load(), tta=False)
    items = list_inputs([EXAMPLES, tmp_path / "broken.png", tmp_path / "nowhere.png"]) * 8
    regions = settings.bundle.manifest.regions
    alone = [result_record(outcome, regions) for outcome in read_here(Work(settings, 1))(items[:12])] * 8
    records: list[dict[str, Any]] = []
    lost = False
    for outcome in find_engine("ray")(Work(settings, 2))(items):
        records.append(result_record(outcome, regions))
        if not lost and reading_processes() == 2:  # both machines read: one actor a core
            cluster.remove_node(cluster.readers.pop(), allow_graceful=False)
            lost = True
    assert lost, "only one machine was ever at work"
    assert records == alone


def test_a_killed_run_goes_on_on_a_cluster_with_the_rows_of_one_machine(cluster: Any, tmp_path: Path) -> None:
    """The journal is of the machine that gave the command: what is in it is not read again."""
    command = [sys.executable, "-c", "from boneage_roi.cli import main; main()", "predict", str(EXAMPLES), "--no-tta"]
    on_ray = [*command, "--output", "there.csv", "--engine", "ray", "--address", cluster.address]
    subprocess.run([*command, "--output", "here.csv"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    journal = tmp_path / "there.csv.journal"
    killed = subprocess.Popen(on_ray, cwd=tmp_path, stdout=subprocess.DEVNULL)
    while killed.poll() is None and not (journal.is_file() and journal.read_bytes().count(b"\n") >= 3):
        time.sleep(0.01)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL, "it came to its end"
    subprocess.run([*on_ray, "--resume"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "there.csv").read_bytes() == (tmp_path / "here.csv").read_bytes()
    assert not journal.exists()
