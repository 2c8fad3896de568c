"""What a report says, before it is a page: the finding as it is dictated, tables and pictures."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from boneage_roi import __version__
from boneage_roi.growth import AdultHeight, Change, Finding, NoValue, growth_table, height_table
from boneage_roi.growth.atlas import Standard, standards_around
from boneage_roi.outputs.atlas import draw_neighbours
from boneage_roi.outputs.bones import HEIGHT as BONES_HEIGHT
from boneage_roi.outputs.bones import draw_bones
from boneage_roi.outputs.overlay import Image, draw_overlay
from boneage_roi.outputs.report.curve import Curve, curve_of
from boneage_roi.outputs.report.words import Words
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.reader import BoneAgeReader
from boneage_roi.regions import REGIONS
from boneage_roi.values import Analysis

PICTURE_HEIGHT = 900
"""Pixels."""

EMPTY = 40
"""What is darker, 0..255, lies beside the hand."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A JPEG with what it shows."""

    caption: str
    jpeg: bytes
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The hand between two standards of the atlas, and whether it had to be mirrored."""

    picture: Picture
    standards: tuple[Standard, Standard]
    mirrored: bool


@dataclass(frozen=True)
class RegionRow:
    """One line of the table of regions: its colour (red, green, blue), and cells."""

    colour: tuple[int, int, int]
    cells: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Study:
    """One radiograph in a report, without the words of any language.

    Attributes:
        finding: what was found; its comparison is with earlier studies.
        regions: that the bundle reads.
        image: name of the file.
        radiograph, bones: pictures; bones is None when no bone was read alone.
        occlusion: None unless asked for.
        unread: bones that were found and have no age of their own.
        neighbours: None where the sex is not known.
        identity: (key of the label, value) of what names the patient; empty unless asked for.
        patient: what tells one child from another; never shown.
    """

    finding: Finding
    regions: tuple[str, ...]
    image: str
    radiograph: Picture
    bones: Picture | None = None
    occlusion: Picture | None = None
    unread: tuple[str, ...] = ()
    neighbours: Neighbours | None = None
    identity: tuple[tuple[str, str], ...] = ()
    patient: str | None = None


@dataclass(frozen=True, eq=False)
class Page:
    """A report in one language: text to be placed.

    Attributes:
        head: (label, value) pairs.
        sections: (heading, sentences) pairs; the first sentence of ``impression`` is the determination.
        columns, rows: the table of regions.
        bones_title, bones: what each bone says alone, (name, months with spread, whether it is far from the others).
        curve: None without a chronological age and sex; ``curve_caption`` then says why.
    """

    language: str
    title: str
    research: str
    head: tuple[tuple[str, str], ...]
    sections: tuple[tuple[str, tuple[str, ...]], ...]
    table_title: str
    columns: tuple[str, ...]
    rows: tuple[RegionRow, ...]
    bones_title: str
    bones: tuple[tuple[str, str, bool], ...]
    curve: Curve | None
    curve_title: str
    curve_caption: str
    axes: tuple[str, str]
    pictures: tuple[Picture, ...]
    foot: tuple[str, ...]


def pictures_of(analysis: Analysis, finding: Finding) -> tuple[Picture, Picture | None]:
    """The radiograph with its regions, and the hand with its bones; words come with the language."""
    whole = draw_overlay(analysis.radiograph, analysis.frame, analysis.boxes, mask=analysis.mask)
    height, width = analysis.radiograph.pixels.shape
    radiograph = _picture(whole[:, : round(whole.shape[0] * width / height)])
    bones = finding.bone_age.bones
    if not bones:
        return radiograph, None
    frame_height, frame_width = analysis.frame.pixels.shape
    drawn = draw_bones(analysis, bones, finding.bone_age.months)
    hand = drawn[:, : round(BONES_HEIGHT * frame_width / frame_height)]
    rows, columns = np.nonzero(hand.max(axis=2) > EMPTY)
    top, left = max(rows.min() - 12, 0), max(columns.min() - 12, 0)
    return radiograph, _picture(hand[top : rows.max() + 12, left : columns.max() + 12])


def neighbours_of(analysis: Analysis, finding: Finding) -> Neighbours | None:
    """The hand between the standards around its bone age; None without a known sex."""
    age = finding.bone_age
    if age.sex is None:
        return None
    standards = standards_around(age.months, age.sex)
    drawn, mirrored = draw_neighbours(analysis, standards)
    return Neighbours(_picture(drawn), standards, mirrored)


def occlusion_of(outcome: Outcome, reader: BoneAgeReader) -> Picture | None:
    """The occlusion map with its scale; None without a bone age or a known sex."""
    from boneage_roi.explain.occlusion import occlusion
    from boneage_roi.outputs.heat import TITLE, draw_heat

    analysis, age = outcome.analysis, outcome.bone_age
    if analysis is None or age is None or age.sex is None:
        return None
    drawn = draw_heat(occlusion(reader, analysis, age, age.sex), worded=False)  # the caption says it in any language
    height, width = analysis.frame.pixels.shape
    return _picture(drawn[TITLE:, round(width * (drawn.shape[0] - TITLE) / height) :])  # without the plain hand


def page_of(study: Study, bundle: Bundle, words: Words) -> Page:
    """A study as a page of one language."""
    finding = study.finding
    curve, reason = curve_of(finding)
    banded = words("curve.band", table=growth_table(finding.relation.table).title)
    pictures = [replace(study.radiograph, caption=words("picture.regions"))]
    if study.bones:
        pictures.append(replace(study.bones, caption=_bones(study, words)))
    if study.occlusion:
        pictures.append(replace(study.occlusion, caption=words("picture.occlusion")))
    if study.neighbours:
        pictures.append(replace(study.neighbours.picture, caption=_neighbours(study.neighbours, words)))
    return Page(
        language=words.language,
        title=words("title"),
        research=words("research"),
        head=tuple(_head(study, words)),
        sections=tuple(_sections(study, words)),
        table_title=words("regions"),
        columns=tuple(words(key) for key in ("region", "column.age", "column.months", "column.spread", "column.fused")),
        rows=tuple(_rows(study, words)),
        bones_title=words("bones"),
        bones=tuple(_alone(finding, words)),
        curve=curve,
        curve_title=words("curve"),
        curve_caption=banded if reason is None else words("curve.none", reason=_why(reason, words)),
        axes=(words("curve.x"), words("curve.y")),
        pictures=tuple(pictures),
        foot=tuple(_foot(finding, bundle, words)),
    )


def _bones(study: Study, words: Words) -> str:
    caption = words("picture.bones")
    if not study.unread:
        return caption
    return f"{caption}. {words('picture.bones.unread', names=', '.join(map(words.bone, study.unread)))}"


def _neighbours(shown: Neighbours, words: Words) -> str:
    before, after = (words.age(standard.months) for standard in shown.standards)
    caption = words("picture.atlas", before=before, after=after)
    return f"{caption}; {words('picture.mirrored')}" if shown.mirrored else caption


def _head(study: Study, words: Words) -> Iterator[tuple[str, str]]:
    for key, value in study.identity:
        yield words(key), value
    finding = study.finding
    yield words("image"), study.image
    yield words("sex"), words(f"sex.{finding.bone_age.sex or 'unknown'}")
    if finding.study_date:
        yield words("date"), finding.study_date.isoformat()


def _sections(study: Study, words: Words) -> Iterator[tuple[str, tuple[str, ...]]]:
    finding = study.finding
    hand = words(f"hand.{finding.laterality or ''}")
    yield words("technique"), (words("technique.text", hand=hand),)
    yield words("comparison"), tuple(_comparison(finding, words))
    yield words("finding"), tuple(_finding(finding, words))
    yield words("impression"), tuple(_impression(finding, words))
    flags = finding.bone_age.flags
    yield words("quality"), tuple(words.flag(flag) for flag in flags) or (words("quality.ok"),)


def _comparison(finding: Finding, words: Words) -> Iterator[str]:
    """The change since the study before, and where there are more, since the first."""
    compared = finding.comparison
    if compared is None or not compared.changes:
        yield words("comparison.none")
        return
    yield _change(compared.changes[-1], words)
    if len(compared.changes) > 1 and compared.overall:
        yield _change(compared.overall, words)


def _change(change: Change, words: Words) -> str:
    first, (low, high) = change.first, change.rate_interval
    when = first.study_date.isoformat() if first.study_date else words.age(first.chronological_age_months or 0)
    return words(
        "comparison.change",
        when=when,
        change=words.number(change.change_months, signed=True),
        elapsed=words.number(change.elapsed_months),
        rate=words.number(change.rate, 2),
        low=words.number(low, 2),
        high=words.number(high, 2),
    )


def _finding(finding: Finding, words: Words) -> Iterator[str]:
    age, relation, number = finding.bone_age, finding.relation, words.number
    months = relation.chronological_age_months
    if months is None:
        yield words("chronological.none")
    else:
        yield words("chronological", age=words.age(months), months=number(months))
    yield words(
        "bone.age",
        age=words.age(age.months),
        months=number(age.months),
        low=number(age.lower),
        high=number(age.upper),
    )
    if relation.mean is not None and relation.sd is not None:
        table = growth_table(relation.table).title
        yield words(f"norm.{age.sex}", mean=number(relation.mean), sd=number(relation.sd), table=table)
    if relation.difference_months is not None:
        difference = number(relation.difference_months, signed=True)
        if relation.sds is None:
            yield words("difference.alone", difference=difference)
        else:
            yield words("difference", difference=difference, sds=number(relation.sds, 2, signed=True))


def _impression(finding: Finding, words: Words) -> Iterator[str]:
    relation = finding.relation
    reason = "" if relation.reason is None else _why(relation.reason, words)
    yield words(f"determination.{relation.determination}", reason=reason)
    if relation.also_possible:
        yield words("also", others=", ".join(words(f"word.{word}") for word in relation.also_possible))
    if finding.adult_height is not None and finding.height_cm is not None:
        yield _height(finding.adult_height, finding.height_cm, words)


def _height(grown: AdultHeight, present: float, words: Words) -> str:
    number, table = words.number, height_table(grown.table).title
    if grown.height_cm is None:
        return words("height.none", reason="" if grown.reason is None else _why(grown.reason, words))
    shared = {"height": number(grown.height_cm), "present": number(present), "table": table}
    if grown.lower_cm is None or grown.upper_cm is None:
        return words("height.alone", **shared)
    return words("height", **shared, low=number(grown.lower_cm), high=number(grown.upper_cm))


def _why(reason: NoValue, words: Words) -> str:
    return words(f"reason.{reason.name}")


def _rows(study: Study, words: Words) -> Iterator[RegionRow]:
    found = study.finding.bone_age.regions
    for region in study.regions:
        name, reading = words(f"region.{region}"), found.get(region)
        colour = REGIONS[region].colour
        if reading is None:
            yield RegionRow(colour, (name, words("region.missing"), "", "", ""))
            continue
        months = reading.expected_age
        away = words.number(months - study.finding.bone_age.months, signed=True)
        yield RegionRow(colour, (name, words.age(months), words.number(months), words.number(reading.spread), away))


def _alone(finding: Finding, words: Words) -> Iterator[tuple[str, str, bool]]:
    for bone in finding.bone_age.bones:
        yield words.bone(bone.name), f"{words.number(bone.months, 0)} ({words.number(bone.spread, 0)})", bone.far


def _foot(finding: Finding, bundle: Bundle, words: Words) -> Iterator[str]:
    name, fingerprint = bundle.manifest.name, bundle.fingerprint
    yield f"{words('method')}: " + words("method.text", version=__version__, bundle=name, fingerprint=fingerprint)
    growth = growth_table(finding.relation.table)
    text = f"{growth.title}: {growth.source}"
    if finding.adult_height:
        heights = height_table(finding.adult_height.table)
        text += f"; {heights.title}: {heights.source}"
    yield f"{words('tables')}: {text}."


def _picture(image: Image) -> Picture:
    scale = min(1.0, PICTURE_HEIGHT / image.shape[0])
    smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    height, width = smaller.shape[:2]
    jpeg = cv2.imencode(".jpg", np.ascontiguousarray(smaller), [cv2.IMWRITE_JPEG_QUALITY, 88])[1].tobytes()
    return Picture("", jpeg, width, height)
