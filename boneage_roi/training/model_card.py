"""The text that travels with a bundle: what it is for, what it learnt from, what it reached, where it fails.

The words are in ``model_card.md`` beside this file.
"""

from collections.abc import Iterable
from pathlib import Path
from string import Template
from typing import Any

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.quality.dataset import ENHANCED, SPOILED
from boneage_roi.quality.train import LOST

TEMPLATE = Path(__file__).with_name("model_card.md")

STARTED = """

The training went on from an earlier bundle: its hand mask and its region detector are used as they were, with what was
measured of them then"""

TRAINED_ON = ", and its region networks were trained further"


def model_card(config: TrainConfig, metrics: dict[str, Any], counts: dict[str, int]) -> str:
    """Markdown for ``MODEL_CARD.md``.

    Args:
        metrics: of ``segmenter``, ``detector`` (where there is one), ``regions``, ``fusion``, ``quality``, ``test``,
            as ``export`` has it.
        counts: images a split.
    """
    segmenter, fusion, quality = metrics["segmenter"], metrics["fusion"], metrics["quality"]
    rejected = quality["rejected"]
    others = {kind: share for kind, share in rejected.items() if kind not in ("hand", *SPOILED, *ENHANCED)}
    words = {
        "name": config.name,
        "training_data": config.training_data,
        "license_note": config.license_note,
        "before": "" if config.start else "the segmenter, the region finder and ",
        "started": f"{STARTED}{TRAINED_ON if config.start_regions else ''}." if config.start else "",
        "train": counts.get("train", 0),
        "fusion_hands": counts.get("fusion", 0),
        "test": counts.get("test", 0),
        "errors": _error_rows(metrics["test"]),
        "outlines": segmenter["outlines"],
        **{name: f"{segmenter[name]:.3f}" for name in ("iou", "iou_worst", "dice")},
        "conditions": _rows(
            (condition, row["n"], f"{row['iou']:.3f}", f"{row['dice']:.3f}")
            for condition, row in segmenter["by_condition"].items()
        ),
        "finder": _finder(config, metrics.get("detector")),
        "regions": _rows((region, row["hands"], f"{row['mae']:.2f}") for region, row in metrics["regions"].items()),
        "fusion": config.fusion.kind,
        "fused": fusion["hands"],
        "fusion_mae": f"{fusion['cross_fitted_mae']:.2f}",
        "coverage": f"{config.fusion.coverage:.0%}",
        "half_width": f"{fusion['mean_half_width']:.1f}",
        "images": quality["images"],
        "rejected": f"{rejected['hand']:.2%}",
        "warned": f"{quality['hands_warned']:.1%}",
        "spoiled": ", ".join(f"{kind} {rejected.get(kind, 1):.1%}" for kind in (*SPOILED, *ENHANCED)),
        "refused": ", ".join(f"{kind} {share:.1%}" for kind, share in others.items()),
        "lost": f"{LOST:.0f}",
    }
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(words)


def _finder(config: TrainConfig, measured: dict[str, Any] | None) -> str:
    """What was measured of the detector; of another finder its name, and nothing when only the whole hand is read."""
    if measured is None or "map50" not in measured:
        return "" if config.finder_kind == "whole-hand" else f"**Regions** are found by `{config.finder_kind}`.\n\n"
    found = _rows(
        (region, row["enough"], f"{row['share']:.1%}")
        for region, row in measured["found"].items()
        if isinstance(row, dict)
    )
    return f"""**Regions**, annotated hands outside training: mAP50 {measured["map50"]:.3f}, mAP50-95
{measured["map50_95"]:.3f}. On the {measured["found"]["hands"]} `test` hands:

| region | enough | share of hands with enough |
|---|---|---|
{found}

"""


def _rows(rows: Iterable[tuple[Any, ...]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


def _error_rows(test: dict[str, Any]) -> str:
    """A table of every level that was measured."""
    lines = ["| | hands | MAE | 95 % | bias | in the interval |", "|---|---|---|---|---|---|"]
    for level, row in test.items():
        coverage = f"{row['coverage']:.1%}" if "coverage" in row else ""
        span = f"{row['mae_low']:.2f} to {row['mae_high']:.2f}"
        lines.append(f"| {level} | {row['n']:.0f} | {row['mae']:.2f} | {span} | {row['bias']:+.1f} | {coverage} |")
    return "\n".join(lines)
