"""The regions of a hand that are read, and the points by which they are known: the one place that knows them."""

from collections.abc import Iterable
from dataclasses import dataclass

from boneage_roi.errors import look_up

GROWTH_PLATES: tuple[str, ...] = (
    *(f"MCP{digit}" for digit in range(1, 6)),
    *(f"PIP{digit}" for digit in range(2, 6)),
    "IP1",
    *(f"DIP{digit}" for digit in range(2, 6)),
    "radius",
    "ulna",
)
"""The sixteen named growth plates; digit 1 is the thumb."""


@dataclass(frozen=True)
class Region:
    """A region of the hand that has a network of its own.

    Attributes:
        name: as in presets, bundles and outputs.
        boxes: for each box that a hand has of it, the named points or parts that the box spans: growth plates,
            ``tip1`` to ``tip5``, ``carpal`` (the carpal block) and ``metacarpal-bases``. None is the whole frame.
        around: what a box keeps around its points, as a share of the distance from the wrist to the middle MCP joint;
            None takes the square around each growth plate.
        enough: so many crops make a hand complete enough; 0 means all.
        colour: (red, green, blue) in which it is drawn, of Okabe and Ito's colour-blind-safe set (2008).
    """

    name: str
    boxes: tuple[tuple[str, ...], ...] = ()
    around: float | None = None
    enough: int = 0
    colour: tuple[int, int, int] = (255, 255, 255)

    @property
    def whole(self) -> bool:
        """Whether it is the whole frame, which needs no finding."""
        return not self.boxes

    @property
    def max_crops(self) -> int:
        """The most crops of this region that one hand has."""
        return max(len(self.boxes), 1)


_KNOWN = (
    Region("hand"),
    Region("radius-ulna", (("radius", "ulna"),), colour=(213, 94, 0)),
    Region("carpal", (("carpal",),), colour=(240, 228, 66)),
    Region("metacarpal", (("MCP1", "MCP2", "MCP3", "MCP4", "MCP5", "metacarpal-bases"),), colour=(0, 158, 115)),
    Region(
        "phalanx",
        (("MCP1", "IP1", "tip1"), *((f"MCP{d}", f"PIP{d}", f"DIP{d}", f"tip{d}") for d in range(2, 6))),
        around=0.11,
        enough=4,
        colour=(86, 180, 233),
    ),
    Region("epiphysis", tuple((plate,) for plate in GROWTH_PLATES), enough=14, colour=(204, 121, 167)),
)

REGIONS: dict[str, Region] = {region.name: region for region in _KNOWN}
"""Every region by its name. A system reads any of them, in an order of its own."""


def find_region(name: str) -> Region:
    """The region of a name.

    Raises:
        InputError: there is none; the message lists the known ones.

    >>> find_region("carpal").max_crops
    1
    """
    return look_up(REGIONS, name, "region")


def detected(names: Iterable[str]) -> tuple[str, ...]:
    """Those of some regions that must be found in the frame, in their order.

    >>> detected(["hand", "carpal"])
    ('carpal',)
    """
    return tuple(name for name in names if not find_region(name).whole)


def age_column(region: str) -> str:
    """The column of a table of predictions that holds a region's own age.

    >>> age_column("radius-ulna")
    'radius_ulna_age'
    """
    return f"{region.replace('-', '_')}_age"
