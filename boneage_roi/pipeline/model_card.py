"""The text that travels with a bundle: what it is for, what it learnt from, what it reached, where it fails."""

from typing import Any

from boneage_roi.configs.schema import TrainConfig


def model_card(config: TrainConfig, metrics: dict[str, Any], counts: dict[str, int]) -> str:
    """Markdown for ``MODEL_CARD.md``.

    Args:
        metrics: of the stages ``segmenter``, ``detector``, ``regions`` and ``fusion``, as ``export`` gathers them.
        counts: hands a split.
    """
    segmenter, detector, fusion = metrics["segmenter"], metrics["detector"], metrics["fusion"]
    regions = "\n".join(
        f"| {region} | {measured['hands']} | {measured['mae']:.2f} |" for region, measured in metrics["regions"].items()
    )
    found = "\n".join(
        f"| {region} | {share['enough']} | {share['share']:.1%} |"
        for region, share in detector["found"].items()
        if isinstance(share, dict)
    )
    conditions = "\n".join(
        f"| {condition} | {measured['n']} | {measured['iou']:.3f} | {measured['dice']:.3f} |"
        for condition, measured in segmenter["by_condition"].items()
    )
    return f"""# Model card: {config.name}

Reads the bone age of a child from one frontal radiograph of a hand, region by region.

**Research use only. Not a medical device.** Do not use it to diagnose or treat; not for adults, for other body parts,
for hands with fractures, casts, implants or skeletal dysplasia, or for children under two years, of whom the training
data have few.

## Data

{config.training_data}

{config.license_note}

Split by a hash of the patient: {counts.get("train", 0)} hands train the segmenter, the detector and the region
networks; {counts.get("fusion", 0)} hands train the fusion and calibrate its intervals; {counts.get("test", 0)} hands
were seen by no stage. `boneage-roi evaluate runs/{config.name}/manifest.csv --split test` measures on them.

## What the stages reached

**Hand mask**, {segmenter["outlines"]} drawn outlines outside training: IoU {segmenter["iou"]:.3f}
(worst {segmenter["iou_worst"]:.3f}), Dice {segmenter["dice"]:.3f}.

| condition | outlines | IoU | Dice |
|---|---|---|---|
{conditions}

**Regions**, annotated hands outside training: mAP50 {detector["map50"]:.3f}, mAP50-95 {detector["map50_95"]:.3f}.
On the {detector["found"]["hands"]} `test` hands:

| region | enough | share of hands with enough |
|---|---|---|
{found}

**Region networks**, mean absolute error in months on the `fusion` hands, none of which they have seen:

| region | hands | MAE |
|---|---|---|
{regions}

**Fusion**, on {fusion["calibration_hands"]} hands that neither the feature-connected layer nor the trees have seen:
MAE {fusion["calibration_mae"]:.2f} months; the {config.fusion.coverage:.0%} intervals, calibrated on the same hands,
are on average {fusion["mean_half_width"]:.1f} months wide to either side.

## Known limits

The labels are one radiologist's reading each; readers differ from each other by about half a year. The intervals hold
on average over children like those of the training data, not in every age group. Flags say when a region was not
found or the image had to be inverted.
"""
