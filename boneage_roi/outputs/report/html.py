"""A page as one HTML file that loads nothing from elsewhere."""

import base64
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path

from boneage_roi.outputs.report.content import Page, Picture
from boneage_roi.outputs.report.curve import curve_svg

FONTS = Path(__file__).parent / "fonts"
WITH_FONTS = ("zh", "ko")
"""Languages whose letters a machine may not have."""

STYLE = """
:root { color: #16202b; background: #f3f5f7; font: 16px/1.5 %s; }
body { margin: 0; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; background: #fff; }
header { border-bottom: 3px solid #16202b; padding-bottom: .5rem; }
h1 { font-size: 1.6rem; margin: 0; line-height: 1.25; }
h2 { font-size: 1rem; margin: 1.1rem 0 .15rem; }
p { margin: 0 0 .3rem; }
dl { display: flex; flex-wrap: wrap; gap: .2rem 1.6rem; margin: .6rem 0 0; }
dl div { display: flex; gap: .4rem; }
dt { color: #4a5663; } dd { margin: 0; font-weight: 600; overflow-wrap: anywhere; }
.bones { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr)); gap: 0 .6rem;
  font-size: .8125rem; }
.bones dd { font-weight: 400; } .bones .far { outline: 1.5px solid #16202b; outline-offset: 1px; }
.research { font-weight: 600; margin: .2rem 0 0; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(19rem, 100%%), 1fr)); gap: 1.2rem; }
.pictures { display: flex; flex-wrap: wrap; gap: 0 1.2rem; } .pictures figure { flex: 1 1 14rem; }
.pictures figure.wide { flex-basis: 100%%; }
.determination { font-size: 1.15rem; font-weight: 700; border-left: .35rem solid #16202b; padding-left: .6rem; }
figure { margin: 1rem 0 0; }
figure svg { display: block; width: 100%%; height: auto; }
figure img { display: block; width: auto; height: auto; max-width: 100%%; max-height: 34rem; }
figcaption { color: #4a5663; font-size: .875rem; margin-top: .3rem; }
table { border-collapse: collapse; width: 100%%; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 700; margin-top: 1.1rem; }
th, td { padding: .25rem .5rem .25rem 0; border-bottom: 1px solid #c9d1d9; text-align: right; font-weight: 400; }
th { text-align: left; } thead th { font-size: .875rem; color: #4a5663; }
thead th:not(:first-child) { text-align: right; }
.swatch { display: inline-block; width: .8rem; height: .8rem; border: 1px solid #16202b; margin-right: .4rem; }
.scroll { overflow-x: auto; }
footer { margin-top: 1.4rem; border-top: 1px solid #c9d1d9; padding-top: .6rem; font-size: .8125rem; color: #3c4753; }
svg text { font-size: 12px; fill: #16202b; }
.grid { stroke: #e1e6eb; } .band { fill: #b8d8c8; } .mean { fill: none; stroke: #1d6b4a; stroke-width: 1.5; }
.way { fill: none; stroke: #16202b; stroke-dasharray: 4 3; } .earlier { fill: #fff; stroke: #16202b; stroke-width: 2; }
.interval { stroke: #16202b; stroke-width: 2; fill: none; } .now { fill: #16202b; stroke: #fff; }
@media (max-width: 480px) { main { padding: .8rem; } table { font-size: .8125rem; } thead th { font-size: .6875rem; }
  th, td { padding-right: .25rem; overflow-wrap: anywhere; } td { min-width: 2.6rem; } }
@page { size: A4; margin: 12mm; }
@media print { :root { background: #fff; font-size: 10pt; } main { padding: 0; max-width: none; }
  figure, table { break-inside: avoid; } figure img { max-height: 9cm; } }
"""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:"


def html_page(page: Page) -> str:
    """The page as HTML."""
    faces, family = _fonts(page.language)
    body = "".join(_body(page))
    return (
        f'<!DOCTYPE html>\n<html lang="{page.language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f"<title>{escape(page.title)}</title>\n<style>{faces}{STYLE % family}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _body(page: Page) -> Iterator[str]:
    yield f'<header><h1>{escape(page.title)}</h1><p class="research">{escape(page.research)}</p><dl>'
    for label, value in page.head:
        yield f"<div><dt>{escape(label)}</dt><dd>{escape(value)}</dd></div>"
    yield '</dl></header>\n<div class="columns"><div>\n'
    for place, (heading, sentences) in enumerate(page.sections):
        yield f"<h2>{escape(heading)}</h2>"
        for order, sentence in enumerate(sentences):
            marked = ' class="determination"' if place == 3 and order == 0 else ""
            yield f"<p{marked}>{escape(sentence)}</p>"
    yield f"\n</div><div>{_figure(page.pictures[0])}</div></div>\n"
    yield f'<div class="columns"><div>{_table(page)}{_bones(page)}</div><div>{_curve(page)}</div></div>\n'
    if len(page.pictures) > 1:
        yield f'<div class="pictures">{"".join(map(_figure, page.pictures[1:]))}</div>\n'
    yield f"<footer>{''.join(f'<p>{escape(line)}</p>' for line in page.foot)}</footer>\n"


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.jpeg).decode()
    size = f'width="{picture.width}" height="{picture.height}"'
    caption = escape(picture.caption, quote=True)
    image = f'<img src="data:image/jpeg;base64,{data}" {size} alt="{caption}">'
    wide = ' class="wide"' if picture.width > 1.5 * picture.height else ""
    return f"<figure{wide}>{image}<figcaption>{caption}</figcaption></figure>"


def _table(page: Page) -> str:
    heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in page.columns)
    rows = []
    for row in page.rows:
        swatch = f'<span class="swatch" style="background:rgb{row.colour}"></span>'
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row.cells[1:])
        rows.append(f'<tr><th scope="row">{swatch}{escape(row.cells[0])}</th>{cells}</tr>')
    head = f"<caption>{escape(page.table_title)}</caption><thead><tr>{heads}</tr></thead>"
    table = f"<table>{head}<tbody>{''.join(rows)}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(page.table_title)}">{table}</div>'


def _bones(page: Page) -> str:
    if not page.bones:
        return ""
    items = []
    for name, said, far in page.bones:
        mark = ' class="far"' if far else ""
        items.append(f"<div{mark}><dt>{escape(name)}</dt><dd>{escape(said)}</dd></div>")
    return f'<h2>{escape(page.bones_title)}</h2><dl class="bones">{"".join(items)}</dl>'


def _curve(page: Page) -> str:
    if page.curve is None:
        return f"<h2>{escape(page.curve_title)}</h2><p>{escape(page.curve_caption)}</p>"
    said = " ".join(page.sections[2][1])
    svg = curve_svg(page.curve, page.curve_title, said, *page.axes)
    caption = f"<figcaption>{escape(page.curve_caption)}</figcaption>"
    return f"<h2>{escape(page.curve_title)}</h2><figure>{svg}{caption}</figure>"


@cache
def _fonts(language: str) -> tuple[str, str]:
    """Font faces to embed, and the family."""
    system = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
    if language not in WITH_FONTS:
        return "", system
    faces = []
    for name, weight in (("regular", "400"), ("bold", "600 700")):
        data = base64.b64encode((FONTS / f"{name}.woff2").read_bytes()).decode()
        source = f"url(data:font/woff2;base64,{data}) format('woff2')"
        faces.append(f"@font-face{{font-family:report;font-weight:{weight};src:{source}}}")
    return "".join(faces), f"report, {system}"
