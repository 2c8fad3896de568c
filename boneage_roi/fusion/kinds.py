"""Ways to fuse the readings of a hand's regions, by name. A new one is a file beside this one and an entry here."""

from boneage_roi.errors import look_up
from boneage_roi.fusion import mean, rb_fcl, rb_fcl_trees, regressors, ridge, stacking, trees
from boneage_roi.fusion.kind import Kind

FUSIONS: dict[str, Kind] = {
    "mean": mean.KIND,
    "ridge": ridge.KIND,
    "rb-fcl": rb_fcl.KIND,
    "trees": trees.KIND,
    "rb-fcl+trees": rb_fcl_trees.KIND,
    "stacking": stacking.KIND,
    "feature-ridge": regressors.RIDGE,
    "feature-svr": regressors.SVR,
    "feature-forest": regressors.FOREST,
    "feature-trees": regressors.TREES,
}


def find_fusion(name: str) -> Kind:
    """The fusion of a name.

    Raises:
        InputError: there is none; the message lists the known ones.

    >>> find_fusion("ridge").files
    ('ridge.json',)
    """
    return look_up(FUSIONS, name, "fusion")
