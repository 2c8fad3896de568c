"""The feature-connected layer, corrected by boosted trees: the fusion of the first bundles."""

from pathlib import Path

import numpy as np

from boneage_roi.fusion import rb_fcl, trees
from boneage_roi.fusion.kind import CrossFitted, Fusion, Kind, Lesson


def _open(folder: Path) -> Fusion:
    return trees.Corrected(rb_fcl.Layer(folder / rb_fcl.FILE), folder / trees.FILE)


def _teach(lesson: Lesson) -> CrossFitted:
    base = rb_fcl.teach(lesson)
    error = round(float(np.abs(base.months - lesson.ages).mean()), 3)
    fitted = trees.correct(base, lesson)
    return CrossFitted(fitted.distributions, fitted.months, {"cross_fitted_layer_mae": error, **fitted.measured})


KIND = Kind((rb_fcl.FILE, trees.FILE), _open, _teach)
