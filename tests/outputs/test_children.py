"""Several studies of one child in one run."""

from pathlib import Path

import pytest

from boneage_roi.cli.sinks import children_lines
from tests.outputs.studies import outcome, study


def said(folder: Path, capsys: pytest.CaptureFixture[str], *studies: tuple[str, str, str, float]) -> list[str]:
    """What is printed of (name, patient, day, months)."""
    sink = children_lines()
    sink.open()
    for name, patient, day, months in studies:
        study(folder / name, PatientID=patient, StudyDate=day)
        sink.write(outcome(folder / name, months))
    sink.close(True)
    return capsys.readouterr().out.splitlines()


def test_the_change_of_each_child(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(
        tmp_path,
        capsys,
        ("b.dcm", "C1", "20200101", 150),
        ("other.dcm", "C2", "20200101", 150),
        ("a.dcm", "C1", "20190101", 132),
        ("c.dcm", "C1", "20210101", 160),
    )
    assert lines[0] == "b.dcm, a.dcm, c.dcm: of one child"
    assert lines[1].startswith("  2019-01-01 to 2020-01-01: +18.0 months of bone age in 12.0 months: 1.50 years a year")
    assert lines[2].startswith("  2020-01-01 to 2021-01-01: +10.0")
    assert lines[3].startswith("  2019-01-01 to 2021-01-01: +28.0 months of bone age in 24.0 months: 1.17 years a year")
    assert len(lines) == 4
    assert not any("C1" in line for line in lines)


def test_hands_of_one_day_are_one_study(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(tmp_path, capsys, ("l.dcm", "C1", "20200101", 150), ("r.dcm", "C1", "20200101", 152)) == []


@pytest.mark.parametrize("patient", ["", None])
def test_nobody_says_whose_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str], patient: str) -> None:
    assert said(tmp_path, capsys, ("a.dcm", patient, "20200101", 150), ("b.dcm", patient, "20210101", 152)) == []


def test_studies_without_a_time_are_not_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(tmp_path, capsys, ("a.dcm", "C1", "", 150), ("b.dcm", "C1", "20210101", 152)) == []
