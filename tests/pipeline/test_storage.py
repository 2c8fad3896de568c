"""Radiographs in archives, stores and trees of folders are read in place, and give the rows that files give."""

import csv
import io
import json
import os
import shutil
import socket
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pandas as pd
import pytest

from boneage_roi.errors import InputError
from boneage_roi.outputs.pictures import picture_names
from boneage_roi.outputs.records import result_record
from boneage_roi.pipeline.batch import predict_files
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.keys import file_mark
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.pipeline.storage import Place, read_place
from tests.pipeline.test_batch import REGIONS, ToyPredictor


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of different content, and a manifest that says the sex of two."""
    folder = tmp_path / "hands"
    folder.mkdir()
    for number, name in enumerate(("a", "b", "c")):
        picture = np.random.default_rng(number).integers(0, 255, (100, 80), dtype=np.uint8)
        assert cv2.imwrite(str(folder / f"{name}.png"), picture)
    (folder / "manifest.csv").write_text("path,sex,height_cm,patient\na.png,F,120,p1\nb.png,M,,\n")
    return folder


def rows(inputs: object, **options: bool) -> list[dict[str, object]]:
    """Records without their paths, and a sum of the pixels in place of an age."""
    items = list_inputs(cast(str, inputs), **options)
    outcomes = list(predict_files(cast(BoneAgeReader, ToyPredictor()), items))
    found = []
    for outcome in outcomes:
        seen = outcome.analysis and round(float(outcome.analysis.radiograph.pixels.sum()), 3)
        record = result_record(outcome, REGIONS)
        found.append(record | {"seen": seen, "path": Path(str(record["path"]).split("::")[0]).name})
    return found


def described(folder: Path) -> list[tuple[str, bytes]]:
    """A folder's files as members of a WebDataset shard: what the manifest says is in JSON files."""
    members = [(path.name, path.read_bytes()) for path in sorted(folder.glob("*.png"))]
    facts = {"a.json": {"sex": "F", "height_cm": 120, "patient": "p1"}, "b.json": {"sex": "M"}}
    return sorted([*members, *((name, json.dumps(said).encode()) for name, said in facts.items())])


def write_tar(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write_zip(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_an_archive_gives_the_rows_of_its_files(folder: Path, tmp_path: Path, write) -> None:  # type: ignore[no-untyped-def]
    archive = write(tmp_path / ("hands.tar" if write is write_tar else "hands.zip"), described(folder))
    assert rows(archive) == rows(folder)
    assert {row["status"] for row in rows(archive)} == {"ok"}
    (first, *_) = list_inputs(archive)
    assert first.path == f"{archive.suffix[1:]}://a.png::{archive}"
    assert (first.patient, first.height_cm) == ("p1", 120)


def test_names_in_an_archive_are_no_paths(folder: Path, tmp_path: Path) -> None:
    data = (folder / "a.png").read_bytes()
    names = ["../../etc/a.png", "/abs/b.png", "x::y.png", "__MACOSX/._a.png", ".hidden.png", "note.txt"]
    for archive in (write_tar(tmp_path / "x.tar", [(name, data) for name in names]), tmp_path / "x.zip"):
        if archive.suffix == ".zip":
            write_zip(archive, [(name, data) for name in names])
        assert [row["status"] for row in rows(archive)] == ["ok", "ok", "ok"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hands", "x.tar", "x.zip"]


def test_a_zip_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boneage_roi.pipeline.storage.LARGEST_FILE", 2**20)
    monkeypatch.setattr("boneage_roi.imaging.files.LARGEST_FILE", 2**20)
    bomb = write_zip(tmp_path / "bomb.zip", [("a.png", bytes(2**22))])
    (row,) = rows(bomb)
    assert row["status"] == "error"
    assert "is larger than 1 MB" in str(row["message"])
    (item,) = list_inputs(bomb)
    assert item.place is not None
    with pytest.raises(InputError, match="larger than 1 MB"):  # also when the directory says less
        read_place(Place(item.place.url, item.place.member, None, 100, item.place.mark))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.tar", b"no archive", "not an archive that can be read"),
        ("a.zip", b"no archive", "not an archive that can be read"),
        ("a.parquet", b"no table", "not a readable Parquet file" if find_spec("pyarrow") else "needs pyarrow"),
    ],
)
def test_what_is_no_archive_says_so(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    (item,) = list_inputs(tmp_path / name)
    assert said in item.error


def test_what_a_json_file_says_wrong_is_told(folder: Path, tmp_path: Path) -> None:
    data = (folder / "a.png").read_bytes()
    members = [("1.png", data), ("1.json", b'{"sex": "X"}'), ("2.png", data), ("2.json", b"[1]"), ("3.png", data)]
    found = rows(write_tar(tmp_path / "x.tar", members))
    assert [row["status"] for row in found] == ["error", "error", "ok"]
    assert "'X'" in str(found[0]["message"])
    assert "no JSON object" in str(found[1]["message"])


def test_a_member_that_changes_changes_its_mark(folder: Path, tmp_path: Path) -> None:
    archive = write_tar(tmp_path / "x.tar", described(folder))
    before = [file_mark(item) for item in list_inputs(archive)]
    os.utime(archive, ns=(1, 1))
    assert [file_mark(item) for item in list_inputs(archive)] != before


def test_a_tree_of_folders_as_a_pacs_lays_them_out(folder: Path, tmp_path: Path) -> None:
    from tests.outputs.studies import study

    tree = tmp_path / "pacs"
    for name in ("1.2.3/1.2.3.1/1.2.3.1.1", "1.2.3/1.2.3.2/IM0001"):
        (tree / name).parent.mkdir(parents=True)
        study(tree / name)
    (tree / "1.2.3/README").write_text("no image")
    (tree / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    shutil.copytree(folder, tree / "z")
    names = [str(Path(item.path).relative_to(tree)) for item in list_inputs(tree, recursive=True)]
    assert names == ["1.2.3/1.2.3.1/1.2.3.1.1", "1.2.3/1.2.3.2/IM0001", "z/a.png", "z/b.png", "z/c.png"]
    (item,) = list_inputs(tree)
    assert "no images" in item.error


def test_a_manifest_in_parquet_says_what_its_csv_says(folder: Path) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra `archive`")
    table = pd.read_csv(folder / "manifest.csv")
    (folder / "manifest.csv").unlink()
    table.to_csv(folder / "m.csv", index=False)
    table.to_parquet(folder / "m.parquet")
    assert list_inputs(folder / "m.parquet") == list_inputs(folder / "m.csv")


def test_stores_that_are_not_known_are_named(tmp_path: Path) -> None:
    for url, said in (("ftp://host/a.png", "known are s3://"), ("s3://b/a::file:///etc/passwd", "URLs inside URLs")):
        (item,) = list_inputs(url)
        assert said in item.error
    (tmp_path / "m.csv").write_text("path\nftp://host/a.png\n")
    (row,) = rows(tmp_path / "m.csv")
    assert "known are s3://" in str(row["message"])


def test_a_store_whose_package_is_missing_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boneage_roi.pipeline.storage.find_spec", lambda name: None if name != "fsspec" else name)
    for url, package in (("gs://b/a.png", "gcsfs"), ("abfss://c@d.dfs.core.windows.net/a.png", "adlfs")):
        (item,) = list_inputs(url)
        assert item.error.endswith(f'install it with: pip install "boneage-roi[archive]" {package}')


@pytest.mark.parametrize(
    ("start", "folders"),
    [("memory://", "hands/"), ("gs://", "hands/"), ("abfss://hands@someone.dfs.core.windows.net/", "")],
)
def test_stores_of_other_makers_give_the_rows_of_files(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str, folders: str
) -> None:
    """Theirs is played by fsspec's store in memory, under their names."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.get_filesystem_class("memory")
    protocol = start.partition("://")[0]

    def stripped(cls: type, path: str) -> str:
        url = str(path).startswith(f"{protocol}://")
        if url and protocol == "abfss" and "@someone." not in str(path):
            raise ValueError("whose?")
        plain = str(path).removeprefix(f"{protocol}://").replace("@someone.dfs.core.windows.net", "")
        return str(memory._strip_protocol(plain))

    own = {"protocol": protocol, "store": {}, "pseudo_dirs": [""], "_strip_protocol": classmethod(stripped)}
    played = type("Played", (memory,), own)
    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, protocol, played)
    monkeypatch.setattr("boneage_roi.pipeline.storage.find_spec", lambda name: name)
    system = fsspec.filesystem(protocol)
    system.put(str(folder), "/hands/study", recursive=True)
    for archive in (
        write_tar(tmp_path / "shard.tar", described(folder)),
        write_zip(tmp_path / "shard.zip", described(folder)),
    ):
        system.put(str(archive), f"/hands/{archive.name}")
    expected = rows(folder)
    for name in ("study", "study/", "study/manifest.csv", "shard.tar", "shard.zip"):
        found = rows(f"{start}{folders}{name}")
        assert found == (expected[:2] if name.endswith("csv") else expected), name


def test_pictures_of_an_archive_are_named_after_its_members(folder: Path, tmp_path: Path) -> None:
    data = (folder / "a.png").read_bytes()
    names = ["1/hand.png", "2/hand.png", "up\\..\\evil.png", "c:\\boot.png"]
    archive = write_zip(tmp_path / "x.zip", [(name, data) for name in names])
    assert picture_names(list_inputs(archive)) == ["hand.png", "hand-2.png", "evil.png", "boot.png"]


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """An S3 server on this machine; gives its bucket's URL."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = server.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    running.start()
    before = dict(os.environ)
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        AWS_ACCESS_KEY_ID="x",
        AWS_SECRET_ACCESS_KEY="x",
        AWS_REGION="us-east-1",
    )
    import s3fs

    s3fs.S3FileSystem().mkdir("hands")
    yield "s3://hands"
    os.environ.clear()
    os.environ.update(before)
    running.stop()


def test_a_store_gives_the_rows_of_files(folder: Path, tmp_path: Path, store: str) -> None:
    import s3fs

    system = s3fs.S3FileSystem()
    system.put(str(folder), "hands/study", recursive=True)
    system.put(str(write_tar(tmp_path / "shard.tar", described(folder))), "hands/shard.tar")
    system.put(str(write_zip(tmp_path / "shard.zip", described(folder))), "hands/shard.zip")
    expected = rows(folder)
    for url in ("study", "study/", "study/manifest.csv", "shard.tar", "shard.zip"):
        found = rows(f"{store}/{url}")
        assert found == (expected[:2] if url.endswith("csv") else expected), url
    with (tmp_path / "urls.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["path", "sex", "height_cm"], [f"{store}/study/a.png", "F", 120]])
    assert rows(tmp_path / "urls.csv") == expected[:1]
    assert [item.path for item in list_inputs(f"{store}/study/c.png")] == [f"{store}/study/c.png"]
    (missing,) = rows(f"{store}/study/nowhere.png")
    assert "cannot be read" in str(missing["message"])
    item = Item("x", place=Place(f"{store}/study/a.png"))
    before = file_mark(item)
    system.put(str(folder / "b.png"), "hands/study/a.png")
    system.invalidate_cache()
    assert file_mark(item) != before
