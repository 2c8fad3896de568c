"""A stopped run goes on where it was, in shares and parts too, and nobody sees a difference in the files."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from boneage_roi.errors import InputError
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.merging import merge
from boneage_roi.outputs.resuming import ResumingSink
from boneage_roi.outputs.sink import opened
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.shards import parse_shard, take_share
from boneage_roi.values import BoneAge

PARQUET = pytest.param(
    ".parquet", marks=pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs the extra `archive`")
)
ENDINGS = (".csv", ".jsonl", PARQUET)


class Stopped(Exception):
    """What a kill is to a test in the same process."""


class Engine:
    """Says an age that its image's size gives; remembers what it read, and stops after so many."""

    def __init__(self, most: int = 10_000) -> None:
        self.read: list[str] = []
        self.most = most

    def __call__(self, items: Iterable[Item]) -> Iterator[Outcome]:
        for item in items:
            if len(self.read) == self.most:
                raise Stopped
            self.read.append(Path(item.path).name)
            size = Path(item.path).stat().st_size
            if "broken" in item.path:
                yield Outcome(item, message=f"{item.path}: broken")
            elif "chest" in item.path:
                yield Outcome(item, message=f"{item.path}: rejected: no hand", rejected=("no hand",))
            else:
                yield Outcome(item, bone_age=BoneAge(size + 0.1, size - 9.0, size + 9.0, "F", (), "toy"))


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    folder = tmp_path / "images"
    folder.mkdir()
    names = [f"{number:02}.png" for number in range(20)]
    names[3], names[7] = "broken,\n3.png", "=chest.png"
    for number, name in enumerate(names):
        (folder / name).write_bytes(b"x" * (60 + number))
    return [Item(str(folder / name), sex="F") for name in names]


def run(
    items: list[Item],
    path: Path,
    engine: Engine,
    *,
    resume: bool = False,
    part_rows: int | None = None,
    shard: str | None = None,
    made_by: str = "toy 1234",
) -> bytes:
    share = take_share(items, *parse_shard(shard))
    outputs = OutputFiles("predict", [item.path for item in items])
    sink = ResumingSink(path, ("carpal",), outputs, share, made_by, resume=resume, part_rows=part_rows)
    missing = sink.missing()
    if missing or not share.items:
        with opened([sink]) as write:
            for outcome in sink.read(missing, engine):
                write(outcome)
    return b"" if path.is_dir() else path.read_bytes()


@pytest.mark.parametrize("ending", [*ENDINGS, ".json"])
@pytest.mark.parametrize("stopped", [0, 1, 8, 19])
def test_a_stopped_run_goes_on_and_ends_the_same(tmp_path: Path, items: list[Item], ending: str, stopped: int) -> None:
    whole = run(items, tmp_path / f"whole{ending}", Engine())
    path, again = tmp_path / f"ages{ending}", Engine()
    with pytest.raises(Stopped):
        run(items, path, Engine(stopped))
    assert not path.exists()
    assert run(items, path, again, resume=True) == whole
    failed = [Path(items[3].path).name] if stopped > 3 else []  # gets another try
    assert again.read == failed + [Path(item.path).name for item in items[stopped:]]
    assert [each.name for each in tmp_path.glob("ages*")] == [path.name]


def test_half_a_line_at_the_end_is_read_again(tmp_path: Path, items: list[Item]) -> None:
    whole = run(items, tmp_path / "whole.csv", Engine())
    with pytest.raises(Stopped):
        run(items, tmp_path / "ages.csv", Engine(12))
    journal = tmp_path / "ages.csv.journal"
    journal.write_bytes(journal.read_bytes()[:-30])
    again = Engine()
    assert run(items, tmp_path / "ages.csv", again, resume=True) == whole
    assert "11.png" in again.read
    assert "10.png" not in again.read


def test_what_has_changed_is_read_again(tmp_path: Path, items: list[Item]) -> None:
    with pytest.raises(Stopped):
        run(items, tmp_path / "ages.csv", Engine(15))
    Path(items[5].path).write_bytes(b"another")
    items[6] = Item(items[6].path, sex="M")
    again = Engine()
    run(items, tmp_path / "ages.csv", again, resume=True)
    assert {"05.png", "06.png"} < set(again.read)
    assert "04.png" not in again.read
    other = Engine()
    run(items, tmp_path / "ages.csv", other, resume=True, made_by="other bundle")
    assert len(other.read) == 20


def test_a_complete_file_is_not_made_again(tmp_path: Path, items: list[Item]) -> None:
    run(items, tmp_path / "ages.csv", Engine())
    again = Engine()
    run(items, tmp_path / "ages.csv", again, resume=True)
    assert again.read == []
    Path(items[5].path).write_bytes(b"another")
    run(items, tmp_path / "ages.csv", again, resume=True)
    assert len(again.read) == 20


def test_without_resume_all_is_read(tmp_path: Path, items: list[Item]) -> None:
    with pytest.raises(Stopped):
        run(items, tmp_path / "ages.csv", Engine(15))
    again = Engine()
    run(items, tmp_path / "ages.csv", again)
    assert len(again.read) == 20


@pytest.mark.parametrize("ending", ENDINGS)
def test_parts_are_complete_one_by_one(tmp_path: Path, items: list[Item], ending: str) -> None:
    whole = run(items, tmp_path / f"whole{ending}", Engine())
    folder, again = tmp_path / f"ages{ending}", Engine()
    with pytest.raises(Stopped):
        run(items, folder, Engine(14), part_rows=6)
    assert sorted(path.name for path in folder.glob("part*")) == [
        f"part-00000{ending}",
        f"part-00001{ending}",
        f"part-00002{ending}.partial",
    ]
    run(items, folder, again, resume=True, part_rows=6)
    assert again.read == [f"{number}.png" for number in range(14, 20)]
    assert merge([folder], tmp_path / f"merged{ending}") == 20
    assert (tmp_path / f"merged{ending}").read_bytes() == whole
    if ending == ".parquet":
        assert pd.read_parquet(folder)["path"].tolist() == [item.path for item in items]


def test_parts_of_a_longer_run_go_away(tmp_path: Path, items: list[Item]) -> None:
    run(items, tmp_path / "ages.csv", Engine(), part_rows=5)
    run(items[:8], tmp_path / "ages.csv", Engine(), part_rows=5)
    assert len(list((tmp_path / "ages.csv").glob("*part-*"))) == 4  # two parts and their notes
    assert merge([tmp_path / "ages.csv"], tmp_path / "merged.csv") == 8


@pytest.mark.parametrize("ending", ENDINGS)
def test_shares_together_are_the_whole(tmp_path: Path, items: list[Item], ending: str) -> None:
    whole = run(items, tmp_path / f"whole{ending}", Engine())
    names, read = [], []
    for index in range(3):
        names.append(tmp_path / f"ages-{index}{ending}")
        engine = Engine()
        run(items, names[-1], engine, shard=f"{index}/3")
        read += engine.read
    assert sorted(read) == sorted(Path(item.path).name for item in items)
    merge(reversed(names), tmp_path / f"merged{ending}")
    assert (tmp_path / f"merged{ending}").read_bytes() == whole


def test_a_share_is_the_same_on_every_machine() -> None:
    share = take_share([Item(f"{number}.png") for number in range(12)], 0, 3)
    assert [item.path for item in share.items] == ["1.png", "4.png", "11.png"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda paths: paths.pop(), "of 20 rows are missing: give shards 2/3"),
        (lambda paths: paths.append(paths[0]), "there twice"),
        (lambda paths: paths[1].write_bytes(paths[1].read_bytes()[:-5]), "copied in part"),
        (lambda paths: paths[1].with_name("_ages-1.csv.json").unlink(), "not beside it"),
        (lambda paths: paths[1].with_name("_ages-1.csv.json").write_text("{"), "is damaged"),
        (lambda paths: paths[1].unlink(), "no such file"),
    ],
)
def test_a_merge_needs_all_and_none_twice(tmp_path: Path, items: list[Item], spoil, said: str) -> None:  # type: ignore[no-untyped-def]
    paths = [tmp_path / f"ages-{index}.csv" for index in range(3)]
    for index, path in enumerate(paths):
        run(items, path, Engine(), shard=f"{index}/3")
    spoil(paths)
    with pytest.raises(InputError, match=said):
        merge(paths, tmp_path / "ages.csv")
    assert not (tmp_path / "ages.csv").exists()


def test_a_merge_wants_one_bundle_and_one_list(tmp_path: Path, items: list[Item]) -> None:
    run(items, tmp_path / "0.csv", Engine(), shard="0/2")
    run(items, tmp_path / "1.csv", Engine(), shard="1/2", made_by="other 99")
    run(items[1:], tmp_path / "2.csv", Engine(), shard="1/2")
    with pytest.raises(InputError, match=r"made by other 99; .*by toy 1234"):
        merge([tmp_path / "0.csv", tmp_path / "1.csv"], tmp_path / "ages.csv")
    with pytest.raises(InputError, match="another list of 19 inputs"):
        merge([tmp_path / "0.csv", tmp_path / "2.csv"], tmp_path / "ages.csv")
    with pytest.raises(InputError, match="end in the same way"):
        merge([tmp_path / "0.csv"], tmp_path / "ages.jsonl")


@pytest.mark.parametrize("text", ["3/3", "1", "a/b", "-1/3", "0/0"])
def test_a_wrong_share_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="the first of three is 0/3"):
        parse_shard(text)


def test_a_share_of_nothing_is_a_table_without_rows(tmp_path: Path, items: list[Item]) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra `archive`")
    run(items[:1], tmp_path / "a.parquet", Engine(), shard="0/2")
    run(items[:1], tmp_path / "b.parquet", Engine(), shard="1/2")
    assert sorted(len(pd.read_parquet(tmp_path / name)) for name in ("a.parquet", "b.parquet")) == [0, 1]
    assert merge([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "ages.parquet") == 1


KILLED = """
import itertools, os, signal, sys, threading
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.outputs.test_resuming import Engine, run
from boneage_roi.pipeline.item import Item

read = itertools.count()

class Killed(Engine):
    def __call__(self, items):
        for outcome in super().__call__(items):
            if next(read) == int(sys.argv[2]):  # kill -9, some milliseconds from here
                threading.Timer(float(sys.argv[3]), os.kill, (os.getpid(), signal.SIGKILL)).start()
            threading.Event().wait(0.002)
            yield outcome

items = [Item(path, sex="F") for path in sorted(map(str, Path({folder!r}).iterdir()))]
run(items, Path(sys.argv[1]), Killed(), resume=True, part_rows={part_rows})
"""


@pytest.mark.parametrize("part_rows", [None, 100])
def test_kill_9_at_any_moment_loses_nothing(tmp_path: Path, part_rows: int | None) -> None:
    folder, root = str(tmp_path / "images"), str(Path(__file__).parents[2])
    Path(folder).mkdir()
    for number in range(600):
        (Path(folder) / f"{number}{'-broken' * (number % 70 == 3)}.png").write_bytes(b"x" * (60 + number))
    script = tmp_path / "script.py"
    script.write_text(KILLED.format(root=root, folder=folder, part_rows=part_rows))
    listed = [Item(path, sex="F") for path in sorted(map(str, Path(folder).iterdir()))]
    run(listed, tmp_path / "whole.csv", Engine(), part_rows=part_rows)

    def started(read: int, pause: float) -> int:
        return subprocess.run([sys.executable, script, tmp_path / "ages.csv", str(read), str(pause)]).returncode

    moments = np.random.default_rng(0)
    for _ in range(6):
        assert started(int(moments.integers(1, 40)), moments.uniform(0, 0.1)) == -signal.SIGKILL
    assert started(-1, 0) == 0

    def content(path: Path) -> dict[str, bytes]:
        files = [path] if path.is_file() else path.glob("part*")
        return {each.name if path.is_dir() else "": each.read_bytes() for each in files}

    assert content(tmp_path / "ages.csv") == content(tmp_path / "whole.csv")


def test_a_journal_of_nonsense_is_no_journal(tmp_path: Path, items: list[Item]) -> None:
    with pytest.raises(Stopped):
        run(items, tmp_path / "ages.csv", Engine(9))
    journal = tmp_path / "ages.csv.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    entry = json.loads(lines[2])
    lines[2] = b"\0" * 40 + b"\n"
    lines[4] = lines[4][:60] + b"\n"
    journal.write_bytes(b"".join(lines))
    again = Engine()
    whole = run(items, tmp_path / "whole.csv", Engine())
    assert run(items, tmp_path / "ages.csv", again, resume=True) == whole
    assert Path(entry["record"]["path"]).name in again.read


def test_a_file_of_somebody_else_is_no_journal(tmp_path: Path, items: list[Item]) -> None:
    (tmp_path / "ages.csv.journal").write_text("my diary")
    with pytest.raises(InputError, match="is there, and no journal"):
        run(items, tmp_path / "ages.csv", Engine())
    assert (tmp_path / "ages.csv.journal").read_text() == "my diary"
