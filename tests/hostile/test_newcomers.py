"""Commands as a newcomer gives them: half, wrong or in the wrong place. One line says so, and nothing is lost."""

import inspect
import json
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pandas as pd
import pytest
from typer.models import ArgumentInfo, OptionInfo

import boneage_roi as br
import boneage_roi.cli.root  # registers the commands
from boneage_roi.cli.common import app
from boneage_roi.errors import InputError
from boneage_roi.outputs.csv import frame_csv
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.merging import merge
from boneage_roi.outputs.share_files import write_share_file
from boneage_roi.pipeline.bundle import DEFAULT_BUNDLE
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.shards import take_share
from boneage_roi.reports.select import select
from tests.bundles import EXAMPLES, needs_bundle
from tests.hostile.test_outputs import Command, command, contents, dl, inputs_stay  # noqa: F401  fixtures
from tests.reports.test_drift import readings

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and locks of POSIX")


def places_for_paths() -> Iterator[list[str]]:
    """Every command with each of its paths left empty, and a word for whatever else it must have."""
    for one in app.registered_commands:
        assert one.callback is not None
        name = one.name or one.callback.__name__.replace("_", "-")
        required: dict[str, list[str]] = {}
        empty: dict[str, list[str]] = {}
        for parameter, hint in get_type_hints(one.callback, include_extras=True).items():
            for info in getattr(hint, "__metadata__", ()):
                option = isinstance(info, OptionInfo)
                assert option or isinstance(info, ArgumentInfo)
                said = [word for word in (info.default, *(info.param_decls or ())) if str(word).startswith("--")]
                flag = [str((said or [f"--{parameter.replace('_', '-')}"])[0])] if option else []
                if "Path" in str(hint.__origin__) or parameter == "inputs":
                    empty[parameter] = [*flag, ""]
                if inspect.signature(one.callback).parameters[parameter].default is inspect.Parameter.empty:
                    required[parameter] = [*flag, "x"]
        for parameter, words in empty.items():
            yield [name, *words, *(word for other, given in required.items() if other != parameter for word in given)]


@pytest.mark.parametrize("arguments", list(places_for_paths()), ids=" ".join)
def test_18_13_no_command_takes_an_empty_path_for_the_current_folder(
    command: Command,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "path is empty" in err
    assert list(tmp_path.iterdir()) == []


def test_every_command_that_takes_a_path_is_tried() -> None:
    assert {"clean", "compare", "train", "explain", "drift", "merge", "listen", "dicomweb"} <= {
        arguments[0] for arguments in places_for_paths()
    }


@needs_bundle
@pytest.mark.parametrize(
    "arguments",
    [
        ["select", "dl/manifest.csv", "--output", "dl/manifest.csv"],
        ["select", "dl", "--output", "dl/manifest.csv"],
        ["select", "dl", "--output", "dl/10097.png"],
        ["compare", "default", "--manifest", "dl/comparison.csv", "--split", "", "--output", "dl"],
        ["compare", "default", "--manifest", "dl/labels.csv", "--split", "", "--output", "dl"],
        ["drift", "dl/drift.csv", "--reference", "dl/manifest.csv", "--output", "dl"],
        ["drift", "dl/manifest.csv", "--reference", "dl/drift.csv", "--output", "dl"],
        ["explain", "dl/x-occlusion.png", "--sex", "F", "--output", "out"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]], ids=["", "overwrite"])
def test_18_4_inputs_of_the_newer_commands_stay(
    command: Command,  # noqa: F811
    dl: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    overwrite: list[str],
) -> None:
    monkeypatch.chdir(dl.parent)
    shutil.copy("dl/hand.png", "dl/comparison.png")
    shutil.copy("dl/hand.png", "dl/x-occlusion.png")
    Path("out").mkdir()
    Path("out/x-occlusion-occlusion.png").symlink_to("../dl/x-occlusion.png")
    Path("dl/labels.csv").write_text("path,sex,boneage\ncomparison.png,F,120\nhand.png,M,84\n")
    if "dl/comparison.csv" in arguments:
        Path("dl/comparison.csv").write_text("path,sex,boneage\n10097.png,F,120\n10098.png,M,84\n")
    Path("dl/drift.csv").write_text(frame_csv(readings(30, 0)))
    inputs_stay(command, dl, *arguments, *overwrite)


@needs_bundle
def test_18_4_a_bundle_chooses_no_place_for_its_report(tmp_path: Path) -> None:
    """What a bundle calls itself may be a path, and a formula."""
    bundle = tmp_path / "bundle"
    shutil.copytree(DEFAULT_BUNDLE, bundle)
    fields = json.loads((bundle / "manifest.json").read_text()) | {"name": "=1+1/../../../elsewhere"}
    (bundle / "manifest.json").write_text(json.dumps(fields))
    output = tmp_path / "out" / "in"
    br.compare([bundle], EXAMPLES / "manifest.csv", split=None, output=output, limit=1, tta=False)
    assert len([path for path in output.iterdir() if (path / "predictions.csv").is_file()]) == 1
    assert "'=1+1/" in (output / "comparison.csv").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "out"}


def test_18_4_a_queue_takes_no_folder_of_others(tmp_path: Path) -> None:
    from boneage_roi.service.node.queue import Queue

    (tmp_path / "received" / "hand").mkdir(parents=True)
    (tmp_path / "received" / "hand" / "1.dcm").write_bytes(b"mine")
    (tmp_path / "lock").write_text("mine")
    with pytest.raises(InputError, match="holds other files"):
        Queue(tmp_path)
    assert (tmp_path / "received" / "hand" / "1.dcm").read_bytes() == b"mine"
    assert (tmp_path / "lock").read_text() == "mine"
    Queue(tmp_path / "queue")
    Queue(tmp_path / "queue")  # a queue that was there before


def test_18_11_no_cell_of_a_table_is_a_formula() -> None:
    table = pd.DataFrame({"=name": ["=1+1", "@x", "plain", None], "number": [-1.5, 2.0, np.nan, 4.0]})
    assert frame_csv(table) == "'=name,number\n'=1+1,-1.5\n'@x,2.0\nplain,\n,4.0\n"


@needs_bundle
def test_18_11_what_is_chosen_is_no_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(EXAMPLES / "girl-10y.png", "=1+1.png")
    select("=1+1.png", 1, output="chosen.csv")
    assert "'=1+1.png" in Path("chosen.csv").read_text()


def test_18_13_periods_as_excel_saves_them_are_compared(tmp_path: Path) -> None:
    table = readings(60, 1)
    plain, excel, utf16 = tmp_path / "plain.csv", tmp_path / "excel.csv", tmp_path / "utf16.csv"
    table.to_csv(plain, index=False)
    table.to_csv(excel, index=False, sep=";", decimal=",")
    utf16.write_bytes(b"\xff\xfe" + table.to_csv(index=False, sep="\t").encode("utf-16-le"))
    reference = br.drift(plain, readings(90, 2)).table
    for saved in (excel, utf16):
        pd.testing.assert_frame_equal(br.drift(saved, readings(90, 2)).table, reference)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "no such file"), (b"", "not a readable CSV"), (b"PK\x03\x04" + bytes(99), "is a workbook")],
)
def test_18_13_a_period_that_is_no_table_names_the_cause(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "new.csv").write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        br.drift(tmp_path / "new.csv", readings(60, 1))
    assert "Errno" not in str(caught.value)


@needs_bundle
@pytest.mark.parametrize(
    "given", [["predict", "--overlay"], ["explain", "--sex", "F", "--output"], ["detect", "--output"]]
)
def test_18_4_a_folder_that_is_a_file_is_refused_before_any_work(
    command: Command,  # noqa: F811
    dl: Path,  # noqa: F811
    given: list[str],
) -> None:
    before = contents(dl)
    code, out, err = command(given[0], dl / "10097.png", *given[1:], dl / "hand.png")
    assert (code, out) == (2, "")
    assert f"{dl / 'hand.png'}: is a file, and no folder to write to" in err
    assert contents(dl) == before


@needs_bundle
def test_18_13_an_address_that_is_taken_is_a_line(command: Command) -> None:  # noqa: F811
    pytest.importorskip("fastapi", reason="needs the extra `serve`")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert command("serve", "--port", port)[::2] == (
            2,
            f"error: 127.0.0.1, port {port}: cannot listen (Address already in use); choose another --host or --port\n",
        )
    code, out, err = command("serve", "--host", "nowhere.invalid")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "cannot listen" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["listen", "--send-to", "A@127.0.0.1:104", "--tls-certificate", "none.pem", "--tls-key", "none.pem"],
        ["listen", "--send-to", "127.0.0.1:104"],
        ["dicomweb", "--url", "http:// pacs"],
        ["dicomweb", "--url", "pacs/dicom-web"],
    ],
    ids=" ".join,
)
def test_18_13_a_node_that_cannot_be_names_the_cause(
    command: Command,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    for package in ("pynetdicom", "highdicom", "dicomweb_client"):
        pytest.importorskip(package, reason="needs the extras `node` and `dicom`")
    monkeypatch.chdir(tmp_path)
    code, out, err = command(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "Errno" not in err
    assert [word for word in ("none.pem: no such file", "write ") if word in err]
    assert list(tmp_path.iterdir()) == []


def test_18_11_a_file_that_was_written_does_nothing_to_a_terminal(
    command: Command,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = command("atlas", "--sex", "F", "--age", "10y", "--output", "\x1b[2J\u202eb.png")
    assert (code, err) == (0, "")
    assert out.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    "change",
    [
        {"listed": 10**15},
        {"listed": -1},
        {"listed": "2"},
        {"listed": 1.5},
        {"shard": [0]},
        {"shards": None},
        {"made_by": {}},
        {"steps": [10**400]},
        {"steps": ["x"]},
        {"steps": 7},
        {"more": 1},
    ],
    ids=str,
)
def test_18_14_a_note_of_a_share_that_is_none_is_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    """Notes travel with the files of other machines: none takes the memory, none shows a traceback."""
    items = [Item(str(tmp_path / f"{number}.png"), error="none") for number in range(2)]
    share, path = take_share(items, 0, 1), tmp_path / "part.csv"
    path.write_text("path\n0.png\n1.png\n")
    write_share_file(path, OutputFiles("predict"), share, "toy", [0, 1])
    assert merge([path], tmp_path / "whole.csv") == 2
    note = tmp_path / "_part.csv.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | change))
    with pytest.raises(InputError) as caught:
        merge([path], tmp_path / "other.csv")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "other.csv").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"status": "error"},
        {"status": ""},
        {"bone_age_months": np.inf},
        {"lower": -np.inf, "upper": np.inf},
        {"measure_noise": 1e308},
        {"measure_noise": "x", "sex": "?"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("error")
def test_18_2_a_period_without_a_number_is_compared_by_the_others(tmp_path: Path, change: dict[str, Any]) -> None:
    readings(60, 1).assign(**change).to_csv(tmp_path / "new.csv", index=False)
    found = br.drift(tmp_path / "new.csv", readings(90, 2))
    assert np.isfinite(found.table.select_dtypes("number").to_numpy()).all()
    assert len(found.table) > 5
    assert "not compared" in found.notes[0]
