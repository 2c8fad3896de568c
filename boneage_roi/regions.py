"""The regions of a hand that are read, and the growth plates in them: the one place that knows them."""

from enum import StrEnum

AGE_BINS = 240
"""Bins of an age distribution: one a month, 0 to 239."""


class Region(StrEnum):
    """A region of the hand that has a model of its own; ``HAND`` is the whole frame."""

    HAND = "hand"
    RADIUS_ULNA = "radius-ulna"
    CARPAL = "carpal"
    METACARPAL = "metacarpal"
    PHALANX = "phalanx"
    EPIPHYSIS = "epiphysis"

    @property
    def max_crops(self) -> int:
        """The most crops of this region that one hand has."""
        return {Region.PHALANX: 5, Region.EPIPHYSIS: 16}.get(self, 1)

    @property
    def age_column(self) -> str:
        """The column of a table of predictions that holds this region's own age."""
        return f"{self.replace('-', '_')}_age"


DETECTED_REGIONS: tuple[Region, ...] = tuple(region for region in Region if region is not Region.HAND)
"""The detector's classes, in the order of their class index."""

GROWTH_PLATES: tuple[str, ...] = (
    *(f"MCP{digit}" for digit in range(1, 6)),
    *(f"PIP{digit}" for digit in range(2, 6)),
    "IP1",
    *(f"DIP{digit}" for digit in range(2, 6)),
    "radius",
    "ulna",
)
"""The sixteen growth plates that an ``epiphysis`` crop may hold; digit 1 is the thumb."""
