"""The report of a finding: one HTML file and one PDF page a radiograph."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path

from boneage_roi.growth import compare
from boneage_roi.outputs.extras import require
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.pictures import picture_names
from boneage_roi.outputs.records import finding_of
from boneage_roi.outputs.report.content import Study, neighbours_of, occlusion_of, page_of, pictures_of
from boneage_roi.outputs.report.html import html_page
from boneage_roi.outputs.report.words import Words
from boneage_roi.outputs.sink import opened
from boneage_roi.pipeline.batch import Outcome, predict_files
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import Item, filler
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regional_models.bones import unread


class ReportSink:
    """Two files an outcome with a bone age: ``STEM.html`` and ``STEM.pdf``.

    Several studies of one child are compared: each report knows the earlier ones, also those that are read after it.
    So what a report shows of a child with an identifier (about 0.2 MB) stays in memory until all are read.

    Args:
        folder: where they go.
        items: all inputs, in order.
        outputs: what may be written.
        bundle: what reads them.
        language: one of :data:`boneage_roi.outputs.report.words.LANGUAGES`.
        with_identity: show name, identifier and birth date of the patient, as a DICOM file tells them.
        occlusion: a reader of the bundle, to add an occlusion map (some seconds a hand) where the sex is known.

    Raises:
        InputError: there is no such language.
    """

    def __init__(
        self,
        folder: Path,
        items: Iterable[Item],
        outputs: OutputFiles,
        bundle: Bundle,
        *,
        language: str = "en",
        with_identity: bool = False,
        occlusion: BoneAgeReader | None = None,
    ) -> None:
        self._words = Words(language)
        stems = [name.removesuffix(".png") for name in picture_names(items)]
        self._paths = [(folder / f"{stem}.html", folder / f"{stem}.pdf") for stem in stems]
        self._outputs = outputs
        self._bundle = bundle
        self._with_identity = with_identity
        self._occlusion = occlusion
        self._done = 0
        self._children: dict[str, list[tuple[Study, tuple[Path, Path]]]] = {}

    @property
    def paths(self) -> list[Path]:
        """The PDF files, one an input; those of inputs without a bone age are not written."""
        return [pdf for _, pdf in self._paths]

    def open(self) -> None:
        """Refuse places where something else lies, and a missing package."""
        require("report", "a report", "reportlab")
        for path in (path for pair in self._paths for path in pair):
            self._outputs.claim(path)

    def write(self, outcome: Outcome) -> None:
        """Write the report of a bone age, as far as the child's other studies are known."""
        paths = self._paths[self._done]
        self._done += 1
        study = study_of(outcome, self._bundle, with_identity=self._with_identity)
        if study is None:
            return
        if self._occlusion is not None:
            study = replace(study, occlusion=occlusion_of(outcome, self._occlusion))
        if study.patient:
            self._children.setdefault(study.patient, []).append((study, paths))
            study = compared([one for one, _ in self._children[study.patient]])[-1]
        self._write(study, paths)

    def close(self, complete: bool) -> None:
        """Write the reports of children with several studies again, now that all are known."""
        for studies in self._children.values():
            if len(studies) > 1:
                for study, (_, paths) in zip(compared([one for one, _ in studies]), studies, strict=True):
                    self._write(study, paths)
        self._children.clear()

    def _write(self, study: Study, paths: tuple[Path, Path]) -> None:
        from boneage_roi.outputs.report.pdf import pdf_page

        page = page_of(study, self._bundle, self._words)
        html, pdf = paths
        self._outputs.write(html, html_page(page))
        self._outputs.write(pdf, pdf_page(page))


def study_of(outcome: Outcome, bundle: Bundle, *, with_identity: bool = False) -> Study | None:
    """What a report shows of an outcome; None without a bone age."""
    finding, analysis = finding_of(outcome), outcome.analysis
    if finding is None or analysis is None:
        return None
    radiograph, bones = pictures_of(analysis, finding)
    return Study(
        finding,
        bundle.manifest.regions,
        Path(outcome.item.path).name,
        radiograph,
        bones,
        unread=unread(analysis.boxes, finding.bone_age.bones),
        neighbours=neighbours_of(analysis, finding),
        identity=tuple(_identity(outcome)) if with_identity else (),
        patient=analysis.radiograph.patient,
    )


def compared(studies: list[Study]) -> list[Study]:
    """Studies of one child, in the order given, each with a comparison with those before it.

    Time goes by the dates where every study has one, else by the ages; a study without either stands alone.
    """
    dated = all(study.finding.study_date for study in studies)

    def time(study: Study) -> float | None:
        day = study.finding.study_date
        return float(day.toordinal()) if dated and day else study.finding.bone_age.chronological_age

    timed = [(when, study) for study in studies if (when := time(study)) is not None]
    known = []
    for study in studies:
        now = time(study)
        before = [] if now is None else [other for when, other in timed if when <= now]
        comparison = compare(one.finding.study for one in before) if len(before) > 1 else None
        known.append(replace(study, finding=replace(study.finding, comparison=comparison)))
    return known


def report(
    inputs: str | Path | Iterable[str | Path],
    folder: str | Path,
    *,
    language: str = "en",
    bundle: Bundle | str | Path | None = None,
    sex: str | None = None,
    chronological_age: str | float | None = None,
    birth_date: str | date | None = None,
    study_date: str | date | None = None,
    height_cm: float | None = None,
    tta: bool = True,
    with_identity: bool = False,
    occlusion: bool = False,
    overwrite: bool = False,
) -> list[Path]:
    """Read bone ages and write a report of each, HTML and PDF: what ``boneage-roi predict --report`` does.

    Args:
        inputs: an image, a folder, a manifest CSV, or several of them.
        folder: where the reports go.
        language: ``en``, ``de``, ``zh``, ``ko`` or ``es``.
        bundle: a bundle or its folder; None for the one that comes with the package.
        sex, chronological_age, birth_date, study_date, height_cm: as :func:`boneage_roi.predict_table` takes them.
        tta: read each region in all views of the bundle.
        with_identity: show name, identifier and birth date of the patient, as a DICOM file tells them.
        occlusion: add a map of how the bone age moves when a place is hidden (some seconds a hand).
        overwrite: write over files that others made.

    Returns:
        The PDF files; an HTML file lies beside each. An image without a bone age has none.

    Raises:
        InputError: what is said of the child is none, the language is unknown, a package is missing, or a file of
            another maker lies in the way.

    Example::

        report("examples/girl-10y.png", "reports", sex="F", chronological_age="9y", language="ko")
    """
    fill = filler(
        sex=sex,
        chronological_age=chronological_age,
        birth_date=birth_date,
        study_date=study_date,
        height_cm=height_cm,
    )
    items = fill(list_inputs(inputs))
    reader = BoneAgeReader(bundle, tta=tta)
    outputs = OutputFiles("predict", [item.path for item in items], overwrite=overwrite)
    sink = ReportSink(
        Path(folder),
        items,
        outputs,
        reader.bundle,
        language=language,
        with_identity=with_identity,
        occlusion=reader if occlusion else None,
    )
    written = []
    with opened([sink]) as write:
        for path, outcome in zip(sink.paths, predict_files(reader, items), strict=True):
            write(outcome)
            written += [path] if outcome.bone_age is not None else []
    return written


def _identity(outcome: Outcome) -> Iterable[tuple[str, str]]:
    """Name, identifier and birth date, where they are known."""
    from boneage_roi.outputs.dicom_source import source_of

    radiograph = outcome.analysis.radiograph if outcome.analysis else None
    source = source_of(outcome)
    if source is not None and str(source.PatientName):
        yield "name", " ".join(str(source.PatientName).split("=")[0].replace("^", " ").split())
    if radiograph is not None and radiograph.patient:
        yield "patient", radiograph.patient
    if radiograph is not None and radiograph.birth_date:
        yield "birth", radiograph.birth_date.isoformat()
