"""The ways to find regions, by the names that presets and bundles use."""

from dataclasses import dataclass

from boneage_roi.errors import InputError


@dataclass(frozen=True)
class FinderKind:
    """A way to find regions. Its code is named as ``module:object`` and is imported when it is used.

    Attributes:
        opens: called with its network's file (None where it has none), the regions to look for and where networks run
            (:class:`~boneage_roi.onnx_session.Execution`); gives a :class:`~boneage_roi.detection.finders.Finder`.
        trains: called with a run and a progress callback, trains and exports the network of the stage ``detector``,
            and gives what it measured; empty when there is nothing to learn.
    """

    opens: str
    trains: str = ""


FINDERS: dict[str, FinderKind] = {
    "detector": FinderKind("boneage_roi.detection.finders:open_detector", "boneage_roi.detection.train:train_detector"),
    "whole-hand": FinderKind("boneage_roi.detection.finders:WholeHand"),
}


def find_finder(kind: str) -> FinderKind:
    """The way to find regions of a name.

    Raises:
        InputError: there is none; the message lists the known ones.
    """
    if kind not in FINDERS:
        raise InputError(f"unknown region finder {kind!r}; known are {', '.join(FINDERS)}")
    return FINDERS[kind]
