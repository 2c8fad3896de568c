"""The one record of an outcome: its fields, its schema, its documentation."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from boneage_roi.errors import InputError
from boneage_roi.outputs.records import FIELDS, record_schema, result_columns, result_record, result_row
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import Item, filler
from boneage_roi.values import (
    Analysis,
    BoneAge,
    BoneReading,
    HandFrame,
    HandMask,
    Radiograph,
    RegionBox,
    RegionReading,
    Sex,
)

DOCS = Path(__file__).parents[2] / "docs/reference"
REGIONS = ("hand", "carpal")


def outcome(months: float = 150, age: float | None = 120, sex: Sex | None = "M", height: float | None = 140) -> Outcome:
    mask = HandMask(np.ones((80, 60), bool), (30, 60), (30, 30), 0.9)
    frame = HandFrame(np.zeros((100, 80), np.uint8), np.array([[1.0, 0, 0], [0, 1, 0]]))
    radiograph = Radiograph(np.zeros((80, 60), np.float32), "a.png", sex, age, "L", height_cm=height)
    reading = RegionReading("carpal", np.eye(240, dtype=np.float32)[145], np.zeros(4, np.float32), 1)
    box = RegionBox("epiphysis", (0, 0, 9, 9), 0.9)
    bones = (BoneReading("MCP2", box, 151.234, 9), BoneReading("ulna", box, 90, 9, far=True))
    bone_age = BoneAge(months, months - 10, months + 10, sex, (reading,), "toy", (), age, bones)
    return Outcome(Item("a.png", sex=sex), Analysis(radiograph, mask, frame, ()), bone_age)


OUTCOMES = {
    "advanced": outcome(),
    "without an age": outcome(age=None),
    "out of the table": outcome(age=210),
    "sex unknown": outcome(sex=None),
    "without a height": outcome(height=None),
    "rejected": Outcome(Item("b.png"), message="b.png: rejected: no hand", rejected=("no hand",)),
    "error": Outcome(Item("c.png", sex="F"), message="c.png: no such file"),
}


def test_a_bone_age_in_relation() -> None:
    record = result_record(OUTCOMES["advanced"], REGIONS)  # boys of 120 months: 125.68, 9.79
    assert record["difference_months"] == 30
    assert (record["mean_for_age"], record["sd_for_age"], record["sds"]) == (125.68, 9.79, 2.48)
    assert (record["normal_lower"], record["normal_upper"]) == (106.1, 145.26)
    assert (record["determination"], record["also_possible"]) == ("advanced", ["normal"])
    assert (record["growth_table"], record["height_table"]) == ("brush-foundation", "bayley-pinneau")
    assert record["adult_height_cm"] == 169.08  # 140 / 0.828
    assert (record["laterality"], record["regions"]) == ("L", {"hand": None, "carpal": 145})


def test_every_bone_has_a_place() -> None:
    record, row = result_record(OUTCOMES["advanced"], REGIONS), result_row(OUTCOMES["advanced"], REGIONS)
    assert len(record["plates"]) == 22  # sixteen growth plates, five digits, the carpal block
    assert (record["plates"]["MCP2"], record["plates"]["ulna"], record["plates"]["MCP3"]) == (151.23, 90, None)
    assert (row["plate_mcp2"], row["plate_mcp3"], row["plates_far"]) == (151.23, "", "ulna")
    assert (record["plates_spread"]["MCP2"], record["plates_spread"]["MCP3"]) == (9, None)
    assert (row["plate_mcp2_spread"], row["plate_mcp3_spread"]) == (9, "")
    assert set(result_record(OUTCOMES["error"], REGIONS)["plates"].values()) == {None}


def test_a_bone_that_was_found_and_has_no_age_is_named() -> None:
    one = OUTCOMES["advanced"]
    assert one.analysis is not None
    boxes = tuple(RegionBox("epiphysis", (0, 0, 9, 9), 0.9, name) for name in ("MCP2", "IP1"))
    record = result_record(replace(one, analysis=replace(one.analysis, boxes=boxes)), REGIONS)
    assert (record["plates"]["IP1"], record["plates_uncertain"]) == (None, ["IP1"])
    assert result_record(one, REGIONS)["plates_uncertain"] == []


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("without an age", "the chronological age is not known"),
        ("out of the table", "the chronological age is above the table's range"),
        ("sex unknown", "the sex is not known"),
    ],
)
def test_no_score_says_why(kind: str, note: str) -> None:
    record = result_record(OUTCOMES[kind], REGIONS)
    assert record["sds"] is record["mean_for_age"] is record["normal_upper"] is None
    assert (record["determination"], record["growth_note"]) == ("indeterminate", note)


@pytest.mark.parametrize("kind", OUTCOMES)
def test_records_fit_the_schema(kind: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(record_schema())
    record = json.loads(json.dumps(result_record(OUTCOMES[kind], REGIONS), allow_nan=False))
    assert list(validator.iter_errors(record)) == []
    assert list(record) == [field.name for field in FIELDS]
    for damage in ({"sds": "high"}, {"determination": "fine"}, {"name": "Ann"}, {"regions": {"foot": 1.0}}):
        assert not validator.is_valid(record | damage)


@pytest.mark.parametrize("kind", OUTCOMES)
def test_null_is_documented(kind: str) -> None:
    record = result_record(OUTCOMES[kind], REGIONS)
    assert [field.name for field in FIELDS if record[field.name] is None and not field.null] == []


@pytest.mark.parametrize("kind", OUTCOMES)
def test_a_row_has_every_column(kind: str) -> None:
    row = result_row(OUTCOMES[kind], REGIONS)
    assert tuple(row) == result_columns(REGIONS)
    assert None not in row.values()


def test_the_schema_in_the_docs_is_this_one() -> None:
    assert json.loads((DOCS / "record.schema.json").read_text()) == record_schema()


def test_the_docs_tell_every_field_with_its_unit() -> None:
    lines = (DOCS / "record.md").read_text().splitlines()
    told: dict[str, Any] = {line.split("`")[1]: line for line in lines if line.startswith("| `")}
    assert list(told) == [field.name for field in FIELDS]
    for field in FIELDS:
        for part in (field.meaning, field.unit, field.null, *field.words):
            assert part in told[field.name], field.name


def test_what_is_said_of_all_fills_what_a_manifest_leaves_open(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "path,sex,chronological_age,birth_date,study_date,height_cm,patient\n"
        "a.png,F,90,,,,7\nb.png,,,2010-02-10,20200625,132.5,\nc.png,,,,2020-06-25,,8\n"
    )
    items = filler(sex="male", chronological_age="10y4m", height_cm=140)(list_inputs([tmp_path / "m.csv"]))
    assert [item.sex for item in items] == ["F", "M", "M"]
    assert [item.chronological_age for item in items] == [90, None, 124]
    assert (items[1].birth_date, items[1].study_date) == (date(2010, 2, 10), date(2020, 6, 25))
    assert [item.height_cm for item in items] == [140, 132.5, 140]
    assert [item.patient for item in items] == ["7", None, "8"]
    dated = filler(birth_date="2010-01-01", study_date="2019-01-01")([*items[:1], Item("d.png"), items[2]])
    assert [item.study_date for item in dated] == [date(2019, 1, 1), date(2019, 1, 1), date(2020, 6, 25)]
    assert [item.birth_date for item in dated] == [None, date(2010, 1, 1), None]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("birth_date", "10.2.2010", "row 2: birth_date is '10.2.2010': not a date"),
        ("height_cm", "1.4", "row 2: height_cm is '1.4'; it must be a number from 30 to 250"),
    ],
)
def test_a_manifest_that_says_nonsense_of_a_child(tmp_path: Path, column: str, value: str, words: str) -> None:
    (tmp_path / "m.csv").write_text(f"path,{column}\na.png,{value}\n")
    (item,) = list_inputs([tmp_path / "m.csv"])
    assert words in item.error


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"chronological_age": "10y", "birth_date": "2010-01-01"}, "give one of them"),
        ({"birth_date": "2020-01-01", "study_date": "2010-01-01"}, "before the birth date"),
        ({"height_cm": 1.4}, "centimetres between 30 and 250"),
        ({"chronological_age": 2000.0}, "an age lies between"),
    ],
)
def test_what_is_said_of_a_child_must_make_sense(said: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        filler(**said)([Item("a.png")])
