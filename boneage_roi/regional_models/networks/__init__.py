"""Families of region networks, one file each.

A family is a file that makes a :class:`RegionNetwork` of a region's settings, and an entry in ``NETWORKS``.
"""

from collections.abc import Callable

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.errors import InputError
from boneage_roi.learning.losses import find_loss
from boneage_roi.regional_models.networks import region_net
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.values import MONTHLY, AgeGrid

NETWORKS: dict[str, Callable[[RegionConfig, AgeGrid], RegionNetwork]] = {
    "region-net": region_net.build,
}
"""From a family's name to what makes an untrained network of it."""


def build_network(config: RegionConfig, grid: AgeGrid = MONTHLY) -> RegionNetwork:
    """The untrained network of a region's settings.

    Raises:
        InputError: an unknown family, backbone or loss, weights that cannot be had, or an option that the family lacks.
    """
    if config.network not in NETWORKS:
        raise InputError(f"unknown network {config.network!r}; known are {', '.join(NETWORKS)}")
    find_loss(config.loss)
    return NETWORKS[config.network](config, grid)


def refuse_options(config: RegionConfig, known: tuple[str, ...] = ()) -> None:
    """For a family: do nothing unless the settings have options that it lacks.

    Raises:
        InputError: an unknown option; the message lists the known ones.
    """
    for name in config.options:
        if name not in known:
            allowed = f"known are {', '.join(known)}" if known else "it has none"
            raise InputError(f"the network {config.network} has no option {name!r}; {allowed}")


__all__ = ["NETWORKS", "Outputs", "RegionNetwork", "build_network", "refuse_options"]
