"""The ways to find regions, by the names that presets and bundles use."""

from collections.abc import Sequence
from dataclasses import dataclass

from boneage_roi.errors import InputError, look_up


@dataclass(frozen=True)
class FinderKind:
    """A way to find regions. Its code is named as ``module:object`` and is imported when it is used.

    Attributes:
        opens: called with its network's file (None where it learns nothing), the regions to look for and where its
            network runs (:class:`~boneage_roi.onnx_session.Execution`); gives a
            :class:`~boneage_roi.detection.finders.Finder`.
        trains: called with a run and a progress callback, trains and exports the network of the stage ``detector``,
            and gives what it measured; empty when there is nothing to learn.
        settings: the block of a run's settings that its training follows; its ``size`` is that of the network's input.
        annotated: whether its training needs annotated boxes.
        finds: the regions that it can look for; None is any.
    """

    opens: str
    trains: str = ""
    settings: str = "detector"
    annotated: bool = False
    finds: tuple[str, ...] | None = None


BY_OUTLINE = ("radius-ulna", "carpal", "phalanx")

FINDERS: dict[str, FinderKind] = {
    "detector": FinderKind(
        "boneage_roi.detection.runtime:Detector", "boneage_roi.detection.train:train_detector", annotated=True
    ),
    "whole-hand": FinderKind("boneage_roi.detection.finders:WholeHand", finds=()),
    "contour": FinderKind("boneage_roi.detection.contour:open_contour", finds=BY_OUTLINE),
    "contour-masked": FinderKind("boneage_roi.detection.contour:open_masked", finds=BY_OUTLINE),
    "template": FinderKind(
        "boneage_roi.detection.template:open_template", finds=("radius-ulna", "carpal", "metacarpal")
    ),
    "attention": FinderKind(
        "boneage_roi.detection.attention:Attention",
        "boneage_roi.detection.attention_train:train_attention",
        settings="attention",
        finds=("carpal", "metacarpal"),
    ),
}


def find_finder(kind: str) -> FinderKind:
    """The way to find regions of a name.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    return look_up(FINDERS, kind, "region finder")


def check_finder(kind: str, regions: Sequence[str]) -> None:
    """Do nothing when there is a finder of a name, and it can look for these regions.

    Raises:
        InputError: there is none (the message lists the known ones), or it finds no such region.
    """
    able = find_finder(kind).finds
    missing = [] if able is None else [region for region in regions if region not in able]
    if missing:
        known = f"it finds {', '.join(able)}" if able else "take the finder detector, or the region hand"
        raise InputError(f"the finder {kind} finds no {missing[0]}; {known}")
