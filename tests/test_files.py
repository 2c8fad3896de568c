"""Files and folders are whole or not there, and every failure names the file."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from boneage_roi.errors import InputError
from boneage_roi.files import replace_folder, write_atomically

posix = pytest.mark.skipif(sys.platform == "win32", reason="pipes and links of POSIX")


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_atomically(path, "old" * 100_000)
    stop = threading.Event()
    seen: set[str] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(path.read_text()[:3] + str(len(path.read_text())))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        write_atomically(path, "new" * 100_000)
    stop.set()
    reader.join()
    assert seen <= {"old300000", "new300000"}
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


@posix
def test_18_17_a_file_is_replaced_and_never_written_over_in_place(tmp_path: Path) -> None:
    path, kept = tmp_path / "a.txt", tmp_path / "kept.txt"
    path.write_text("old")
    kept.hardlink_to(path)
    with path.open() as reader:
        write_atomically(path, "new, and longer")
        assert reader.read() == "old"
    assert (path.read_text(), kept.read_text()) == ("new, and longer", "old")


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    contents = [letter * 2_000_000 for letter in "abcd"]
    threads = [threading.Thread(target=write_atomically, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in contents


@posix
def test_links_are_followed_and_devices_are_opened(tmp_path: Path) -> None:
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_atomically(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_text()))
    reader.start()
    write_atomically(tmp_path / "pipe", "through")
    reader.join()
    assert got == ["through"]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(InputError, match=r"file/a\.txt: cannot be written"):
        write_atomically(tmp_path / "file" / "a.txt", "x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full device")
def test_18_7_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        write_atomically(Path("/dev/full"), "x" * 100_000)


def test_18_6_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    for content in ("one", "two"):
        with replace_folder(folder) as building:
            (building / "sub").mkdir()
            (building / "sub" / content).write_text(content)
            if folder.exists():
                assert (folder / "sub" / "one").is_file()  # the old one stays until the new one is whole
    assert [path.name for path in folder.rglob("*")] == ["sub", "two"]

    def fail() -> None:
        with replace_folder(folder) as building:
            (building / "half").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert [path.name for path in folder.rglob("*")] == ["sub", "two"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@posix
def test_18_6_a_kill_while_a_folder_is_replaced_leaves_a_whole_one(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from boneage_roi.files import replace_folder\n"
        "for number in range(10**6):\n"
        "    with replace_folder(Path(sys.argv[1])) as building:\n"
        "        for name in 'abc': (building / name).write_text(str(number))\n"
        "    print(number, flush=True)\n"
    )
    folder = tmp_path / "bundle"
    for _ in range(4):
        with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE) as running:
            assert running.stdout is not None
            for _ in range(5):
                running.stdout.readline()
            running.kill()
        assert len({path.read_text() for path in folder.iterdir()}) == 1
        assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "c"]
