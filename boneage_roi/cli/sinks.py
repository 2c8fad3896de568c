"""What the commands print of outcomes: sinks that show what they kept when all is done."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from boneage_roi.cli.common import say
from boneage_roi.cli.terminal import plain_table, predictions_table, show
from boneage_roi.outputs.boxes import box_rows
from boneage_roi.outputs.children import child_study, comparison_lines
from boneage_roi.outputs.records import BETWEEN_FLAGS, result_record, result_row
from boneage_roi.outputs.sink import Sink
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.reader import BoneAgeReader

MOST_FAILURES = 1000
"""More failed inputs are counted instead of named."""

MOST_STUDIES = 10_000
"""With more studies of known children than this, no change between them is printed; the file of results has all."""


class Tally:
    """Counts outcomes, and keeps why the first inputs failed that did: (path, message)."""

    def __init__(self) -> None:
        self.total = 0
        self.failed = 0
        self.failures: list[tuple[str, str]] = []

    def open(self) -> None:
        """Nothing is needed."""

    def write(self, outcome: Outcome) -> None:
        """Count an outcome."""
        self.total += 1
        if outcome.message:
            self.failed += 1
            if self.failed <= MOST_FAILURES:
                self.failures.append((outcome.item.path, outcome.message))

    def close(self, complete: bool) -> None:
        """Nothing is left to do."""


class ShownAtTheEnd:
    """Keeps rows of each outcome and shows them all when the work is complete.

    Args:
        rows: what to keep of an outcome; no more than that stays in memory.
        show: prints what was kept.
        longest: with more rows than this nothing is shown, and no more is kept.
    """

    def __init__(
        self,
        rows: Callable[[Outcome], Sequence[Any]],
        show: Callable[[Sequence[Any]], None],
        longest: int | None = None,
    ) -> None:
        self._rows = rows
        self._show = show
        self._longest = longest
        self._kept: list[Any] = []

    def open(self) -> None:
        """Nothing is needed."""

    def write(self, outcome: Outcome) -> None:
        """Keep an outcome's rows."""
        if self._longest is None or len(self._kept) <= self._longest:
            self._kept += self._rows(outcome)

    def close(self, complete: bool) -> None:
        """Show them, unless the work was cut short."""
        if complete and (self._longest is None or len(self._kept) <= self._longest):
            self._show(self._kept)


def ages_table(regions: Sequence[str], longest: int | None = None) -> Sink:
    """Bone ages as a table; with more than ``longest`` rows, none."""

    def show_ages(rows: Sequence[dict[str, Any]]) -> None:
        read = [row for row in rows if row["status"] == "ok"]
        if read:
            show(predictions_table(read, regions))

    return ShownAtTheEnd(lambda outcome: [result_row(outcome, regions)], show_ages, longest)


def children_lines() -> Sink:
    """How the bone age of a child changed between its studies; nothing where each child has one."""

    def rows(outcome: Outcome) -> Sequence[Any]:
        study = child_study(outcome)
        return [] if study is None else [study]

    def show_lines(studies: Sequence[Any]) -> None:
        for line in comparison_lines(studies):
            say(line)

    return ShownAtTheEnd(rows, show_lines, MOST_STUDIES)


def ages_json(regions: Sequence[str]) -> Sink:
    """Bone ages as one JSON array."""
    return ShownAtTheEnd(lambda outcome: [result_record(outcome, regions)], _print_json)


def regions_table(reader: BoneAgeReader) -> Sink:
    """How many of each region were found on a hand, and what the quality gate says."""

    found = reader.bundle.manifest.finder.regions

    def rows(outcome: Outcome) -> Sequence[Any]:
        if outcome.analysis is None:
            return []
        counts = [sum(box.region == region for box in outcome.analysis.boxes) for region in found]
        verdict = reader.assess(outcome.analysis)
        return [(outcome.item.path, *counts, BETWEEN_FLAGS.join(verdict.rejections + verdict.warnings))]

    return ShownAtTheEnd(rows, lambda kept: _show_rows(("image", *found, "flags"), kept))


def boxes_json() -> Sink:
    """Region boxes as one JSON array."""
    return ShownAtTheEnd(box_rows, _print_json)


def masks_table() -> Sink:
    """How much of an image is hand, and how sure its landmarks are."""

    def rows(outcome: Outcome) -> Sequence[Any]:
        if outcome.analysis is None:
            return []
        mask = outcome.analysis.mask
        return [(outcome.item.path, f"{mask.pixels.mean():.0%}", f"{mask.confidence:.2f}")]

    headings = ("image", "hand's share of the image", "landmark confidence")
    return ShownAtTheEnd(rows, lambda kept: _show_rows(headings, kept))


def _show_rows(headings: Sequence[str], rows: Sequence[Any]) -> None:
    if rows:
        show(plain_table(headings, rows))


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))
