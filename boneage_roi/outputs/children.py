"""Several studies of one child in one run: who they are of, and how the bone age changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from boneage_roi.errors import InputError
from boneage_roi.growth import Comparison, Study, compare
from boneage_roi.outputs.records import finding_of
from boneage_roi.pipeline.batch import Outcome


@dataclass(frozen=True)
class ChildStudy:
    """One study of a child.

    Attributes:
        patient: what tells one child from another; it is not shown.
        name: of the file.
        study: its bone age and time.
    """

    patient: str
    name: str
    study: Study


def child_study(outcome: Outcome) -> ChildStudy | None:
    """An outcome as a study of a child; None without a bone age, or when nobody says whose it is."""
    finding = finding_of(outcome)
    if finding is None or outcome.analysis is None or outcome.analysis.radiograph.patient is None:
        return None
    return ChildStudy(outcome.analysis.radiograph.patient, Path(outcome.item.path).name, finding.study)


def comparisons(studies: Iterable[ChildStudy]) -> list[tuple[list[str], Comparison]]:
    """The children with studies of several days: the names of their files, and the comparison.

    A child is left out when neither every study has a date nor every study an age.
    """
    children: dict[str, list[ChildStudy]] = {}
    for study in studies:
        children.setdefault(study.patient, []).append(study)
    found = []
    for own in children.values():
        try:
            comparison = compare(one.study for one in own)
        except InputError:
            continue
        if comparison.changes:
            found.append(([one.name for one in own], comparison))
    return found


def comparison_lines(studies: Iterable[ChildStudy]) -> list[str]:
    """Each change between studies in a line; with more than two studies, the whole change too."""
    lines = []
    for names, comparison in comparisons(studies):
        changes = list(comparison.changes)
        if len(changes) > 1 and comparison.overall is not None:
            changes.append(comparison.overall)
        lines.append(f"{', '.join(names)}: of one child")
        lines += [f"  {_when(one.first)} to {_when(one.last)}: {one.words}" for one in changes]
    return lines


def _when(study: Study) -> str:
    if study.study_date is not None:
        return study.study_date.isoformat()
    return f"{study.chronological_age_months:.1f} months"
