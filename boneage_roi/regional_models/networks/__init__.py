"""Families of region networks, one file each.

A family is a file that makes a :class:`RegionNetwork` of a region's settings, and an entry in ``NETWORKS``.
"""

from collections.abc import Callable

from boneage_roi.configs.schema import RegionConfig
from boneage_roi.errors import look_up
from boneage_roi.learning.losses import find_loss
from boneage_roi.regional_models.networks import bonet, dense, ensemble, plain, region_net, tj_net, vgg
from boneage_roi.regional_models.networks.contract import Outputs, RegionNetwork
from boneage_roi.regional_models.networks.options import chosen_options, refuse_options
from boneage_roi.values import MONTHLY, AgeGrid

NETWORKS: dict[str, Callable[[RegionConfig, AgeGrid], RegionNetwork]] = {
    "region-net": region_net.build,
    "dense": dense.build,
    "ensemble": ensemble.build,
    "tj-net": tj_net.build,
    "bonet": bonet.build,
    "plain": plain.build,
    "two-heads": vgg.build,
}
"""From a family's name to what makes an untrained network of it."""


def build_network(config: RegionConfig, grid: AgeGrid = MONTHLY) -> RegionNetwork:
    """The untrained network of a region's settings.

    Raises:
        InputError: an unknown family, backbone or loss, weights that cannot be had, or an option that the family lacks.
    """
    family = look_up(NETWORKS, config.network, "network")
    find_loss(config.loss)
    return family(config, grid)


__all__ = ["NETWORKS", "Outputs", "RegionNetwork", "build_network", "chosen_options", "refuse_options"]
