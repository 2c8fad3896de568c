"""A page as a PDF of one A4 page."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Paragraph, Table

from boneage_roi.outputs.report.content import Page, Picture
from boneage_roi.outputs.report.curve import OLDEST, Curve, Point

FONTS = Path(__file__).parent / "fonts"
REGULAR, BOLD = "report", "report-bold"
INK, QUIET, LINE, BAND, MEAN = (HexColor(code) for code in (0x16202B, 0x3C4753, 0xC9D1D9, 0xB8D8C8, 0x1D6B4A))

MARGIN, GAP = 14 * mm, 6 * mm
WIDTH, HEIGHT = A4
SIZES = (9.0, 8.5, 8.0, 7.5, 7.0)
"""Of text, points: the largest with which all fits on the page is taken."""

NARROW = str.maketrans({"\uff08": " (", "\uff09": ")", "\uff0c": ", ", "\uff1a": ": ", "\uff1b": "; "})

BONES_ACROSS = 4
"""Columns of bones."""

ENOUGH = 56 * mm
"""Height of the pictures at the foot, where the page's width allows it."""


@dataclass(frozen=True)
class Styles:
    """Paragraph styles at one size of text."""

    text: ParagraphStyle
    heading: ParagraphStyle
    strong: ParagraphStyle
    small: ParagraphStyle


def pdf_page(page: Page) -> bytes:
    """The page as PDF.

    The fonts hold what messages need. A name with other Chinese or Korean letters is set in a font that the reader's
    program brings (Adobe's STSong-Light or HYSMyeongJo-Medium); other letters are left out.
    """
    _register()
    for size in SIZES:
        file = io.BytesIO()
        canvas = Canvas(file, pagesize=A4, lang=page.language, invariant=1)
        canvas.setTitle(page.title)
        canvas.setCreator("boneage-roi")
        if _draw(canvas, page, _styles(page.language, size), 0.0 if size == SIZES[-1] else ENOUGH):
            break
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _draw(canvas: Canvas, page: Page, styles: Styles, enough: float) -> bool:
    """Draw all; False when the pictures at the foot would be lower than ``enough``."""
    inner = WIDTH - 2 * MARGIN
    foot = _stack([Paragraph(_safe(line), styles.small) for line in page.foot], inner)
    bottom = MARGIN + foot.height
    foot.draw(canvas, MARGIN, bottom)
    canvas.setStrokeColor(LINE)
    canvas.line(MARGIN, bottom + 2, WIDTH - MARGIN, bottom + 2)
    y = _head(canvas, page, styles, HEIGHT - MARGIN) - 2 * mm

    left, right = 0.6 * (inner - GAP), 0.4 * (inner - GAP)
    said = _stack(_sections(page, styles), left)
    said.draw(canvas, MARGIN, y)
    shown = _picture(canvas, page.pictures[0], styles, MARGIN + left + GAP, y, right, 92 * mm)
    y -= max(said.height, shown) + 4 * mm

    half = (inner - GAP) / 2
    tables = [Paragraph(_safe(page.table_title), styles.heading), _table(page, styles, half)]
    if page.bones:
        tables += [Paragraph(_safe(page.bones_title), styles.heading), _bones(page, styles, half)]
    table = _stack(tables, half)
    table.draw(canvas, MARGIN, y)
    drawn = _curve(canvas, page, styles, MARGIN + half + GAP, y, half)
    y -= max(table.height, drawn) + 4 * mm

    others = page.pictures[1:]
    if others:
        row = _row_of(others, styles, inner, y - bottom - 4 * mm)
        if row.height < min(row.wanted, enough):
            return False
        if row.height > 20 * mm:
            row.draw(canvas, MARGIN, y)
    return enough == 0 or bool(y > bottom + 4 * mm)


@dataclass(frozen=True)
class _Row:
    """Pictures of one height side by side, each with its caption below.

    Attributes:
        height: of the pictures, points.
        wanted: the height at which they would fill the row.
        parts: each picture with its caption and the width of both.
    """

    height: float
    wanted: float
    parts: tuple[tuple[Picture, Paragraph, float], ...]

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """Draw them from ``y`` down."""
        for picture, caption, width in self.parts:
            image = ImageReader(io.BytesIO(picture.jpeg))
            canvas.drawImage(image, x, y - self.height, picture.width * self.height / picture.height, self.height)
            caption.drawOn(canvas, x, y - self.height - caption.height - 2)
            x += width + GAP


def _row_of(pictures: Sequence[Picture], styles: Styles, width: float, room: float) -> _Row:
    """A row that fits into a width and a height."""
    aspects = [picture.width / picture.height for picture in pictures]
    wanted = (width - GAP * (len(pictures) - 1)) / sum(aspects)
    parts = []
    for picture, aspect in zip(pictures, aspects, strict=True):
        caption = Paragraph(_safe(picture.caption), styles.small)
        caption.wrap(aspect * wanted, room)
        parts.append((picture, caption, aspect * wanted))
    return _Row(min(wanted, room - max(caption.height for _, caption, _ in parts) - 3), wanted, tuple(parts))


def _head(canvas: Canvas, page: Page, styles: Styles, y: float) -> float:
    """Title, what it is for, and the facts; where it ends."""
    title = ParagraphStyle("title", styles.heading, fontSize=16, leading=20)
    facts = " &nbsp; ".join(
        f'<font name="{REGULAR}" color="#3c4753">{_safe(a)}</font> {_safe(b)}' for a, b in page.head
    )
    stack = _stack(
        [
            Paragraph(_safe(page.title), title),
            Paragraph(_safe(page.research), styles.strong),
            Paragraph(facts, styles.strong),
        ],
        WIDTH - 2 * MARGIN,
    )
    stack.draw(canvas, MARGIN, y)
    y -= stack.height + 1.5 * mm
    canvas.setStrokeColor(INK)
    canvas.setLineWidth(1.5)
    canvas.line(MARGIN, y, WIDTH - MARGIN, y)
    canvas.setLineWidth(0.5)
    return y


def _sections(page: Page, styles: Styles) -> list[Paragraph]:
    flow = []
    for place, (heading, sentences) in enumerate(page.sections):
        flow.append(Paragraph(_safe(heading), styles.heading))
        for order, sentence in enumerate(sentences):
            strong = place == 3 and order == 0
            flow.append(Paragraph(_safe(sentence), styles.strong if strong else styles.text))
    return flow


def _table(page: Page, styles: Styles, width: float) -> Table:
    size = styles.text.fontSize - 0.5
    right = ParagraphStyle("right", styles.small, alignment=2, textColor=INK, fontSize=size, leading=size * 1.25)
    left = ParagraphStyle("left", right, alignment=0)
    quiet = ParagraphStyle("quiet", right, textColor=QUIET, fontSize=size - 1)
    head = ["", Paragraph(_safe(page.columns[0]), left), *(Paragraph(_safe(one), quiet) for one in page.columns[1:])]
    lines: list[list[Any]] = [head]
    for row in page.rows:
        lines.append(
            ["", Paragraph(_safe(row.cells[0]), left), *(Paragraph(_safe(one), right) for one in row.cells[1:])]
        )
    shares = (0.035, 0.29, 0.2, 0.14, 0.16, 0.175)
    table = Table(lines, [share * width for share in shares])
    style: list[tuple[Any, ...]] = [
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
    for line, row in enumerate(page.rows, 1):
        style.append(("BACKGROUND", (0, line), (0, line), Color(*(channel / 255 for channel in row.colour))))
        style.append(("BOX", (0, line), (0, line), 0.4, INK))
    table.setStyle(style)
    return table


def _bones(page: Page, styles: Styles, width: float) -> Table:
    """What each bone says alone, in columns; a frame around those that are far from the others."""
    style = ParagraphStyle("bones", styles.small, textColor=INK)
    rows = -(-len(page.bones) // BONES_ACROSS)
    cells: list[list[Any]] = [[""] * BONES_ACROSS for _ in range(rows)]
    look: list[tuple[Any, ...]] = [
        ("FONTSIZE", (0, 0), (-1, -1), 1),  # of empty cells
        ("LEADING", (0, 0), (-1, -1), 1),
        ("LEFTPADDING", (0, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 0.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
    ]
    for place, (name, said, far) in enumerate(page.bones):
        column, row = divmod(place, rows)
        cells[row][column] = Paragraph(f'<font color="#3c4753">{_safe(name)}</font> {_safe(said)}', style)
        if far:
            look.append(("BOX", (column, row), (column, row), 0.8, INK))
    return Table(cells, [width / BONES_ACROSS] * BONES_ACROSS, style=look)


def _picture(
    canvas: Canvas, picture: Picture, styles: Styles, x: float, y: float, width: float, height: float
) -> float:
    """Draw a picture with its caption below, no higher than ``height``; how high it is."""
    caption = Paragraph(_safe(picture.caption), styles.small)
    _, below = caption.wrap(width, height)
    scale = min(width / picture.width, (height - below - 3) / picture.height)
    wide, high = picture.width * scale, picture.height * scale
    canvas.drawImage(ImageReader(io.BytesIO(picture.jpeg)), x, y - high, wide, high)
    caption.drawOn(canvas, x, y - high - below - 2)
    return float(high + below + 3)


def _curve(canvas: Canvas, page: Page, styles: Styles, x: float, y: float, width: float) -> float:
    """The curve with title and caption; how high it is."""
    title = _stack([Paragraph(_safe(page.curve_title), styles.heading)], width)
    title.draw(canvas, x, y)
    high = title.height
    if page.curve is not None:
        chart = width * 0.66
        _chart(canvas, page.curve, page.axes, x, y - high - chart - 1, width, chart)
        high += chart + 2
    caption = _stack([Paragraph(_safe(page.curve_caption), styles.small)], width)
    caption.draw(canvas, x, y - high)
    return high + caption.height


def _chart(
    canvas: Canvas, curve: Curve, axes: tuple[str, str], x: float, y: float, width: float, height: float
) -> None:
    left, bottom = x + 26, y + 24
    wide, high = width - 30, height - 30

    def at(point: Point) -> tuple[float, float]:
        across, up = (min(max(value, 0.0), OLDEST) / OLDEST for value in point)
        return left + wide * across, bottom + high * up

    canvas.setFont(REGULAR, 6.5)
    canvas.setFillColor(INK)
    for tick in range(0, OLDEST + 1, 2):
        tx, ty = at((tick, tick))
        canvas.setStrokeColor(HexColor(0xE1E6EB))
        canvas.line(tx, bottom, tx, bottom + high)
        canvas.line(left, ty, left + wide, ty)
        canvas.drawCentredString(tx, bottom - 8, str(tick))
        canvas.drawRightString(left - 3, ty - 2, str(tick))
    band = canvas.beginPath()
    band.moveTo(*at(curve.band[0]))
    for point in curve.band[1:]:
        band.lineTo(*at(point))
    band.close()
    canvas.setFillColor(BAND)
    canvas.drawPath(band, stroke=0, fill=1)
    _polyline(canvas, [at(point) for point in curve.mean], MEAN, 1)
    if curve.earlier:
        canvas.setDash(3, 2)
        _polyline(canvas, [at(point) for point in (*curve.earlier, curve.now)], INK, 0.7)
        canvas.setDash()
    canvas.setStrokeColor(INK)
    for point in curve.earlier:
        canvas.setFillColor(HexColor(0xFFFFFF))
        canvas.setLineWidth(1.2)
        canvas.circle(*at(point), 2.6, stroke=1, fill=1)
    px, py = at(curve.now)
    low, top = (at((curve.now[0], end))[1] for end in curve.interval)
    canvas.setLineWidth(1.2)
    canvas.line(px, low, px, top)
    for end in (low, top):
        canvas.line(px - 2.5, end, px + 2.5, end)
    canvas.setFillColor(INK)
    canvas.circle(px, py, 2.8, stroke=0, fill=1)
    canvas.setLineWidth(0.5)
    canvas.drawCentredString(left + wide / 2, y + 4, axes[0])
    canvas.saveState()
    canvas.translate(x + 7, bottom + high / 2)
    canvas.rotate(90)
    canvas.drawCentredString(0, 0, axes[1])
    canvas.restoreState()


def _polyline(canvas: Canvas, points: Sequence[Point], colour: Color, width: float) -> None:
    path = canvas.beginPath()
    path.moveTo(*points[0])
    for point in points[1:]:
        path.lineTo(*point)
    canvas.setStrokeColor(colour)
    canvas.setLineWidth(width)
    canvas.drawPath(path, stroke=1, fill=0)


@dataclass(frozen=True)
class _Stack:
    """Flowables one below the other."""

    parts: tuple[tuple[Any, float], ...]
    height: float

    def draw(self, canvas: Canvas, x: float, y: float) -> None:
        """Draw them from ``y`` down."""
        for part, high in self.parts:
            y -= high
            part.drawOn(canvas, x, y)


def _stack(flow: Sequence[Any], width: float) -> _Stack:
    parts: list[tuple[Any, float]] = []
    for part in flow:
        style = getattr(part, "style", None)
        before = getattr(style, "spaceBefore", 0) if parts else 0
        _, high = part.wrap(width, HEIGHT)
        if before:
            parts.append((_Nothing(), before))
        parts.append((part, high))
    return _Stack(tuple(parts), sum(high for _, high in parts))


class _Nothing:
    def drawOn(self, canvas: Canvas, x: float, y: float) -> None:
        """Space."""


def _styles(language: str, size: float) -> Styles:
    base = {"fontName": REGULAR, "textColor": INK, "wordWrap": "CJK" if language == "zh" else None}
    text = ParagraphStyle("text", fontSize=size, leading=size * 1.3, spaceBefore=1, **base)
    return Styles(
        text,
        ParagraphStyle("heading", text, fontName=BOLD, fontSize=size + 0.5, spaceBefore=size * 0.6),
        ParagraphStyle("strong", text, fontName=BOLD),
        ParagraphStyle("small", text, fontSize=size - 1.5, leading=(size - 1.5) * 1.3, textColor=QUIET),
    )


@cache
def _register() -> None:
    for name, file in ((REGULAR, "regular"), (BOLD, "bold")):
        pdfmetrics.registerFont(TTFont(name, str(FONTS / f"{file}.ttf")))
    for name in ("STSong-Light", "HYSMyeongJo-Medium"):
        pdfmetrics.registerFont(UnicodeCIDFont(name))


def _safe(text: str) -> str:
    """Text for a paragraph: markup escaped, and letters that the fonts lack set in others.

    Brackets and commas are narrow ones: reportlab leaves wide ones at the wrong end of a line.
    """
    text = text.translate(NARROW).rstrip()
    known = pdfmetrics.getFont(REGULAR).face.charToGlyph
    if all(ord(letter) in known for letter in text):
        return escape(text, quote=False)
    parts = []
    for letter in text:
        if ord(letter) in known:
            parts.append(escape(letter, quote=False))
        elif "\uac00" <= letter <= "\ud7a3":
            parts.append(f'<font name="HYSMyeongJo-Medium">{letter}</font>')
        elif "\u3400" <= letter <= "\u9fff":
            parts.append(f'<font name="STSong-Light">{letter}</font>')
    return "".join(parts)
