"""The curve of bone age over chronological age: what it shows, and as SVG. Years on both axes."""

from dataclasses import dataclass
from html import escape

from boneage_roi.growth import Finding, NoValue, growth_table
from boneage_roi.growth.relation import NORMAL_SDS

OLDEST = 20
"""Years; both axes end here."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """Lines and points in years.

    Attributes:
        mean: the table's mean bone age at each age.
        band: outline of two standard deviations around it.
        now: this study.
        interval: ends of its 90 % interval.
        earlier: other studies of the child.
    """

    mean: tuple[Point, ...]
    band: tuple[Point, ...]
    now: Point
    interval: tuple[float, float]
    earlier: tuple[Point, ...]


def curve_of(finding: Finding) -> tuple[Curve | None, NoValue | None]:
    """The curve of a finding, or why there is none."""
    age, relation = finding.bone_age, finding.relation
    months = relation.chronological_age_months
    if age.sex is None:
        return None, NoValue.SEX
    if months is None:
        return None, NoValue.AGE
    rows = growth_table(relation.table).rows[age.sex]
    years = [row.chronological_age / 12 for row in rows]
    low = [(x, (row.mean - NORMAL_SDS * row.sd) / 12) for x, row in zip(years, rows, strict=True)]
    high = [(x, (row.mean + NORMAL_SDS * row.sd) / 12) for x, row in zip(years, rows, strict=True)]
    others = () if finding.comparison is None else finding.comparison.studies
    earlier = tuple(
        (other.chronological_age_months / 12, other.bone_age_months / 12)
        for other in others
        if other.chronological_age_months is not None and other.chronological_age_months < months
    )
    return (
        Curve(
            tuple((x, row.mean / 12) for x, row in zip(years, rows, strict=True)),
            (*low, *reversed(high)),
            (months / 12, age.months / 12),
            (age.lower / 12, age.upper / 12),
            earlier,
        ),
        None,
    )


def curve_svg(curve: Curve, title: str, description: str, across: str, up: str) -> str:
    """The curve as SVG of 420 x 300 units.

    Args:
        title, description: for people who do not see it.
        across, up: names of the axes.
    """
    left, top, width, height = 46.0, 12.0, 362.0, 240.0

    def at(point: Point) -> str:
        x, y = (min(max(value, 0.0), OLDEST) / OLDEST for value in point)
        return f"{left + width * x:.1f},{top + height * (1 - y):.1f}"

    def xy(point: Point) -> tuple[str, str]:
        x, y = at(point).split(",")
        return x, y

    parts = []
    for tick in range(0, OLDEST + 1, 2):
        x, y = xy((tick, tick))
        parts.append(f'<path class="grid" d="M{x},{top}V{top + height}M{left},{y}H{left + width}"/>')
        parts.append(f'<text x="{x}" y="{top + height + 15}" text-anchor="middle">{tick}</text>')
        parts.append(f'<text x="{left - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{tick}</text>')
    parts.append(f'<polygon class="band" points="{" ".join(map(at, curve.band))}"/>')
    parts.append(f'<polyline class="mean" points="{" ".join(map(at, curve.mean))}"/>')
    if curve.earlier:
        parts.append(f'<polyline class="way" points="{" ".join(map(at, (*curve.earlier, curve.now)))}"/>')
    for point in curve.earlier:
        x, y = xy(point)
        parts.append(f'<circle class="earlier" cx="{x}" cy="{y}" r="4.5"/>')
    x, y = xy(curve.now)
    low, high = (xy((curve.now[0], end))[1] for end in curve.interval)
    parts.append(f'<path class="interval" d="M{x},{low}V{high}M{float(x) - 4},{low}h8M{float(x) - 4},{high}h8"/>')
    parts.append(f'<circle class="now" cx="{x}" cy="{y}" r="5"/>')
    middle = top + height / 2
    parts.append(f'<text x="{left + width / 2}" y="{top + height + 34}" text-anchor="middle">{escape(across)}</text>')
    parts.append(f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{escape(up)}</text>')
    return (
        f'<svg viewBox="0 0 420 290" role="img" aria-labelledby="curve-title curve-text">'
        f'<title id="curve-title">{escape(title)}</title><desc id="curve-text">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )
