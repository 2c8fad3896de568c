"""Streams that are closed, broken or plain ASCII, Ctrl-C at any moment, names that would steer a terminal."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.bundles import EXAMPLES, needs_bundle, write_toy_bundle

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="streams and signals of POSIX")
RUN = [sys.executable, "-c", "from boneage_roi.cli import main; main()"]
HAND = EXAMPLES / "girl-10y.png"


def shell(line: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run ``line`` in bash; ``$@`` in it is the command with its arguments."""
    words = ["bash", "-o", "pipefail", "-c", line, "bash", *RUN, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, env=os.environ | environment, check=False)


@needs_bundle
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_18_13_closed_streams(tmp_path: Path, closed: str) -> None:
    done = shell(f'"$@" {closed}', "predict", HAND, "--sex", "F", "--no-tta", "--output", tmp_path / "ages.csv")
    assert done.returncode == 0, done.stderr
    assert b"Error" not in done.stderr
    lines = (tmp_path / "ages.csv").read_text().splitlines()
    assert len(lines) == 2  # and nothing that was meant for the terminal
    assert lines[1].startswith(f"{HAND},ok,1")


def test_18_13_closed_streams_of_a_refusal(tmp_path: Path) -> None:
    done = shell('"$@" 2>&-', "predict", tmp_path / "nowhere.png")
    assert (done.returncode, done.stdout) == (2, b"")


@pytest.mark.parametrize("arguments", [["--help"], ["predict", "--help"], ["info"], ["--version"]])
@pytest.mark.parametrize("reader", ["head -n 1", "true"])
def test_18_13_a_reader_that_leaves_early(tmp_path: Path, arguments: list[str], reader: str) -> None:
    if arguments == ["info"]:
        arguments = ["info", str(write_toy_bundle(tmp_path / "bundle"))]
    done = shell(f'"$@" | {reader}', *arguments)
    assert (done.returncode, done.stderr) == (0, b"")


@needs_bundle
@pytest.mark.parametrize("option", ["--json", "--no-tta"])
def test_18_13_a_reader_that_leaves_predict(option: str) -> None:
    done = shell('"$@" | true', "predict", HAND, "--sex", "F", "--no-tta", option)
    assert (done.returncode, done.stderr) == (0, b"")


@needs_bundle
def test_18_13_a_pipe_as_output(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    options = ("--sex", "F", "--no-tta", "--output", tmp_path / "pipe.jsonl")
    done = shell(f'cat "{tmp_path}/pipe.jsonl" & "$@" > /dev/null; wait', "predict", HAND, *options)
    assert json.loads(done.stdout)["status"] == "ok"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.jsonl"]


def test_18_13_nothing_is_imported_before_ctrl_c_is_heeded() -> None:
    """What Python itself imports at its start is out of a package's reach."""
    code = (
        "import os, sys\n"
        "before = set(sys.modules)\n"
        "from boneage_roi.cli import main\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["boneage_roi", "boneage_roi.cli"]


@pytest.mark.parametrize("after", [0.0, 0.03, 0.06, 0.09, 0.12, 0.15, 0.3, 0.6])
def test_18_13_ctrl_c_shows_no_traceback(after: float) -> None:
    """From the entry point on: before it, Python itself is starting."""
    code = (
        "import os, signal, sys, threading, time\n"
        "from boneage_roi.cli import main\n"
        f"threading.Thread(target=lambda: (time.sleep({after}), os.kill(os.getpid(), signal.SIGINT)), daemon=True)"
        ".start()\n"
        "main()"
    )
    words = [sys.executable, "-c", code, "predict", str(HAND), "--sex", "F"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 130, -signal.SIGINT), done.stderr
    assert done.stderr in ("", "interrupted\n")


@pytest.mark.parametrize("name", ["Röntgen.png", "hand\x1b[31mred\x1b]0;title\x07.png", "a\u202egnp.exe.png"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_18_11_names_do_nothing_to_a_terminal(tmp_path: Path, name: str, encoding: str) -> None:
    (tmp_path / name).write_text("no image")
    done = shell('"$@"', "predict", tmp_path / name, PYTHONIOENCODING=encoding)
    shown = done.stderr.decode(encoding)
    assert done.returncode == 2
    assert shown.count("\n") == 1
    assert shown.rstrip("\n").isprintable()
    assert "\\udc" not in shown
    if name == "Röntgen.png":
        assert ("Röntgen" if encoding == "utf-8" else "R\\xf6ntgen") in shown


def test_18_13_names_under_the_c_locale(tmp_path: Path) -> None:
    (tmp_path / "Röntgen.png").write_text("no image")
    plain = {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = shell('"$@"', "predict", tmp_path / "Röntgen.png", **plain)
    assert b"R\\xf6ntgen.png: not an image" in done.stderr


@needs_bundle
def test_18_11_names_in_tables_do_nothing_to_a_terminal(tmp_path: Path) -> None:
    hand = tmp_path / "hand\x1b[31m[bold]\x9b.png"
    shutil.copy(HAND, hand)
    options = ("--no-tta", "--overlay", tmp_path / "drawn\x1b[2J", "--output", tmp_path / "ages\x1b[2J.csv")
    for command in (("predict", hand, *options), ("segment", hand, "--output", tmp_path / "masks\x1b[2J")):
        done = shell('"$@"', *command)
        assert done.returncode == 0, done.stderr
        assert b"\x1b" not in done.stdout + done.stderr
        assert all(character.isprintable() or character == "\n" for character in done.stdout.decode())
        assert r"\x1b[31m[bold]\x9b.png" in "".join(done.stdout.decode().split())  # a long name goes over two lines


def test_18_11_a_bundle_does_nothing_to_a_terminal(tmp_path: Path) -> None:
    evil = "\x1b[31mred\x1b[0m [bold]"
    bundle = write_toy_bundle(
        tmp_path / "bundle", name=evil, license_note=evil, training_data=evil, metrics={evil: {evil: evil}}
    )
    done = shell('"$@"', "info", bundle)
    assert done.returncode == 0, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr


def test_17_2_decoding_a_tiff_leaves_stderr_alone() -> None:
    """A service logs from other threads while images are read; and libtiff's own lines stay away."""
    grey = np.random.default_rng(0).integers(0, 255, (900, 700), dtype=np.uint8)
    whole = BytesIO()
    Image.fromarray(grey).save(whole, "TIFF", compression="tiff_lzw")
    code = (
        "import os, sys, threading\n"
        "from boneage_roi.errors import InputError\n"
        "from boneage_roi.imaging.raster import read_raster\n"
        "data = sys.stdin.buffer.read()\n"
        "broken = data[: len(data) // 2] + bytes(len(data) // 2 - 400) + data[-400:]\n"
        "def log():\n"
        "    for _ in range(20_000): os.write(2, b'x')\n"
        "logger = threading.Thread(target=log)\n"
        "logger.start()\n"
        "while logger.is_alive():\n"
        "    read_raster(data)\n"
        "    try: read_raster(broken)\n"
        "    except InputError: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=whole.getvalue(), capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr == b"x" * 20_000


def test_18_13_ctrl_c_while_many_are_read(tmp_path: Path) -> None:
    for number in range(60):  # hands, whose reading takes so long that there is work left
        (tmp_path / f"{number:02}.png").symlink_to(EXAMPLES / "girl-10y.png")
    words = [*RUN, "predict", str(tmp_path), "--sex", "F", "--output", str(tmp_path / "ages.csv")]
    # Whoever runs the tests in the background may have switched Ctrl-C off, which a command inherits.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as running:
        until = time.monotonic() + 60
        rows = tmp_path / "ages.csv.partial"
        while not (rows.is_file() and rows.read_text().count("\n") > 3) and time.monotonic() < until:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate()
    assert (running.returncode, out) == (130, "")
    assert err == f"interrupted; the rows so far are in {rows}; the same command with --resume goes on\n"
    assert not (tmp_path / "ages.csv").exists()
