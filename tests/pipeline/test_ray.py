"""A Ray cluster of two machines gives the rows of one, also when one of the two is lost. `.ci/run ray` runs it."""

import os
from collections.abc import Iterator
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
    """Two machines of one core each, as Ray plays them on one."""
    from ray.cluster_utils import Cluster

    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    cluster: Any = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    cluster.second = cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_two_machines_say_what_one_says_and_one_may_be_lost(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no image")
    settings = ReaderSettings(Bundle.load(), tta=False)
    items = list_inputs([EXAMPLES, tmp_path / "broken.png", tmp_path / "nowhere.png"]) * 3
    regions = settings.bundle.manifest.regions
    records = []
    for outcome in find_engine("ray")(Work(settings, 2))(items):
        records.append(result_record(outcome, regions))
        if len(records) == 5:
            cluster.remove_node(cluster.second, allow_graceful=False)
    alone = [result_record(outcome, regions) for outcome in read_here(Work(settings, 1))(items)]
    assert records == alone
