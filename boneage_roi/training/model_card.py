"""The text that travels with a bundle: what it is for, what it learnt from, what it reached, where it fails."""

from typing import Any

from boneage_roi.configs.schema import TrainConfig
from boneage_roi.quality.dataset import SPOILED
from boneage_roi.quality.train import LOST

STARTED = """

The training went on from an earlier bundle: its hand mask and its region detector are used as they were, with what was
measured of them then, and its region networks were trained further."""


def model_card(config: TrainConfig, metrics: dict[str, Any], counts: dict[str, int]) -> str:
    """Markdown for ``MODEL_CARD.md``.

    Args:
        metrics: of ``segmenter``, ``detector``, ``regions``, ``fusion``, ``quality``, ``test``, as ``export`` has it.
        counts: images a split.
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
    before = "" if config.start else "the segmenter, the detector and "
    quality = metrics["quality"]
    hands = ("hand", *SPOILED)
    refused = ", ".join(f"{kind} {share:.1%}" for kind, share in quality["rejected"].items() if kind not in hands)
    spoiled = ", ".join(f"{kind} {quality['rejected'].get(kind, 1):.1%}" for kind in SPOILED)
    return f"""# Model card: {config.name}

Reads the bone age of a child from one frontal radiograph of a hand, region by region.

**Research use only. Not a medical device.** Do not use it to diagnose or treat.

## Who should not use it

Not for adults, for other body parts, for hands with fractures, casts, implants or skeletal dysplasia, or for children
under two years, of whom the training data have few. Not to tell the age of a person whose age is in dispute: a bone age
is not a chronological age, and the interval of a single hand spans years.

## Data

{config.training_data}

{config.license_note}

Split by a hash of the patient: {counts.get("train", 0)} images train {before}the region
networks; {counts.get("fusion", 0)} hands train the fusion and its intervals; {counts.get("test", 0)} hands were seen by
no stage.{STARTED if config.start else ""}

## Accuracy

Bone ages of the `test` hands with test-time augmentation, months; bias is predicted minus true.
`boneage-roi evaluate RUN/manifest.csv --split test` measures the same from the images.

{_error_rows(metrics["test"])}

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

**REGIONS networks**, without test-time augmentation, mean absolute error in months on the `fusion` hands, none of which
they have seen:

| region | hands | MAE |
|---|---|---|
{regions}

**Fusion**, cross-fitted on {fusion["hands"]} `fusion` hands: MAE {fusion["cross_fitted_mae"]:.2f} months; the
{config.fusion.coverage:.0%} intervals, fitted to the same errors, are on average {fusion["mean_half_width"]:.1f} months
wide to either side.

**Quality gate**, cross-fitted on {quality["images"]} images of or made from `fusion` hands: of single hands
{quality["rejected"]["hand"]:.2%} are rejected and {quality["hands_warned"]:.1%} come with a warning; of the same hands,
spoiled more or less, are rejected: {spoiled}; of images that are no single whole hand: {refused}.

## Known failures

- The labels are one radiologist's reading each; readers differ from each other by about half a year, and some labels
  are plainly wrong. The error against them is not the error against the truth.
- Readings lean towards the middle: very young hands are read too old, and nearly mature ones too young. The table above
  shows by how much.
- The intervals hold on average, not in every group of sex and age: the table above shows how many of each are inside.
- A wrongly cut frame gives a wrong age. The quality gate rejects images that do not look like a hand with its regions,
  and warns of odd ones; not always.
- Noise and coarse JPEGs move a reading, the more the less contrast the hand has. The quality gate rejects what would be
  moved by {LOST:.0f} months or more on average.
- A sharp and a coarse image of the same hand are read about a month apart, and the sharp one no better.
"""


def _error_rows(test: dict[str, Any]) -> str:
    """A table of every level that was measured."""
    lines = ["| | hands | MAE | 95 % | bias | in the interval |", "|---|---|---|---|---|---|"]
    for level, row in test.items():
        coverage = f"{row['coverage']:.1%}" if "coverage" in row else ""
        span = f"{row['mae_low']:.2f} to {row['mae_high']:.2f}"
        lines.append(f"| {level} | {row['n']:.0f} | {row['mae']:.2f} | {span} | {row['bias']:+.1f} | {coverage} |")
    return "\n".join(lines)
