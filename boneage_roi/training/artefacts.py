"""Running the exported networks over every hand of a run, so that the next stage can train on what they say."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from boneage_roi.aspect.dataset import (
    KEPT_LARGER,
    MOST,
    SeenHand,
    random_pose,
    seen_hand,
    square_error,
    write_samples,
)
from boneage_roi.datasets.augmentation import poor_file
from boneage_roi.datasets.manifest import read_hand
from boneage_roi.detection.finders import Finder, open_finder
from boneage_roi.errors import InputError
from boneage_roi.files import write_atomically
from boneage_roi.fusion.runtime import Fuser
from boneage_roi.imaging.frame import hand_frame
from boneage_roi.imaging.steps import apply_steps
from boneage_roi.progress import Progress, tracked
from boneage_roi.quality.dataset import enhanced, not_a_hand, side_by_side, spoiled
from boneage_roi.quality.measures import disagreement, measure
from boneage_roi.regional_models.crops import View
from boneage_roi.regional_models.runtime import RegionReader
from boneage_roi.regions import REGIONS, detected
from boneage_roi.runs import layout, plan
from boneage_roi.runs.artefacts import (
    FrameCache,
    read_boxes,
    read_readings,
    readings_path,
    write_boxes,
    write_readings,
)
from boneage_roi.runs.run import Run
from boneage_roi.segmentation.runtime import Segmenter
from boneage_roi.values import Analysis, HandMask, Radiograph, RegionReading, Sex

Result = TypeVar("Result")

PAIRS = 2
"""Every so many hands, one gives an image with two."""


def cache_frames(run: Run, progress: Progress | None = None) -> None:
    """Segment every radiograph and keep its hand frame; needs the trained segmenter.

    Of the ``train`` hands the frame of a bad export is kept too. Frames that were cleaned away are cut again, and the
    stage's record stays as it was.
    """
    anew, folder = run.begin_anew(layout.FRAMES), run.path / layout.FRAMES
    if not anew and all((folder / name).is_file() for name in layout.FRAME_FILES):
        return
    folder.mkdir(parents=True, exist_ok=True)
    segmenter, config = Segmenter(run.network(layout.SEGMENTER)), run.config
    size = config.frame_size
    hands = list(run.manifest.itertuples())
    *arrays, table = layout.FRAME_FILES
    pixels, bad_exports = (
        np.lib.format.open_memmap(folder / f".{name}", mode="w+", dtype=np.uint8, shape=(len(hands), *size))
        for name in arrays
    )

    def work(position: int) -> dict[str, Any]:
        hand: Any = hands[position]
        radiograph = read_hand(hand)
        mask = segmenter(radiograph)
        frame = apply_steps(hand_frame(radiograph, mask, size), mask, config.steps)
        pixels[position] = frame.pixels
        if hand.split == "train":
            poor = poor_file(np.random.default_rng((config.seed, position)), radiograph, mask)
            bad_exports[position] = apply_steps(hand_frame(*poor, size), poor[1], config.steps).pixels
        height, width = radiograph.pixels.shape
        numbers = {f"m{index}": value for index, value in enumerate(frame.to_frame.ravel())}
        return {
            "id": hand.id,
            "width": width,
            "height": height,
            **numbers,
            "inverted": frame.inverted,
            "confidence": mask.confidence,
        }

    rows = list(in_threads(work, range(len(hands)), "hand frames", progress))
    pixels.flush()
    bad_exports.flush()
    for name in arrays:
        (folder / f".{name}").replace(folder / name)
    if not anew:
        return
    write_atomically(folder / table, pd.DataFrame(rows).to_csv(index=False))
    run.finish(layout.FRAMES, {"images": len(rows)}, outputs=[table])


def cache_aspect_samples(run: Run, progress: Progress | None = None) -> None:
    """Keep squashed hands as a reader sees them, for the aspect network; needs the trained segmenter.

    They are drawn at random: of ``train`` as many as the settings say at the most, each squashed anew for every one of
    its views; of ``fusion`` a tenth of that, each as it is, squashed to a square, and turned and squashed.
    """
    config = run.config
    path = run.path / layout.ASPECT / layout.SAMPLES_FILE
    if run.begin(layout.ASPECT) is not None or path.is_file() or config.aspect is None:
        return
    segmenter, manifest, settings = Segmenter(run.network(layout.SEGMENTER)), run.manifest, config.aspect
    drawn = []
    for split, most in (("train", settings.hands), ("fusion", settings.hands // 10)):
        of_split = manifest[manifest.split == split]
        drawn.append(of_split.sample(min(len(of_split), most), random_state=config.seed))
    hands: list[Any] = list(pd.concat(drawn).itertuples())

    def work(number: int) -> list[tuple[str, SeenHand]]:
        hand, random = hands[number], np.random.default_rng((config.seed, number))
        radiograph = read_hand(hand)
        square = square_error(radiograph.pixels)
        if hand.split == "train":
            poses = [("train", *random_pose(random, square)) for _ in range(settings.views)]
        else:
            turn, most = random.uniform(-180, 180), np.log(MOST)
            poses = [("as_is", 0, 0), ("square", 0, square), ("turned", turn, random.uniform(-most, most))]
        views = []
        for kind, degrees, error in poses:
            size = round(KEPT_LARGER * settings.size) if kind == "train" else settings.size
            seen = seen_hand(
                radiograph, segmenter, degrees=degrees, error=error, size=size, frame_size=config.frame_size
            )
            views += [] if seen is None else [(kind, seen)]
        return views

    samples: dict[str, list[SeenHand]] = {}
    for views in in_threads(work, range(len(hands)), "squashed hands", progress):
        for kind, seen in views:
            samples.setdefault(kind, []).append(seen)
    write_samples(path, samples)


def cache_boxes(run: Run, progress: Progress | None = None) -> None:
    """Find the regions in every frame; needs the frames and the trained detector."""
    if not run.begin_anew(layout.BOXES):
        return
    frames, finder = FrameCache(run), _finder(run)
    keys = list(frames.table.index)
    found = in_threads(lambda key: finder(frames[key]), keys, "regions", progress)
    write_boxes(run, dict(zip(keys, found, strict=True)))
    run.finish(layout.BOXES, {"images": len(keys)}, outputs=[layout.BOXES_FILE])


def cache_measures(run: Run, progress: Progress | None = None) -> None:
    """Measure what the quality gate learns from; needs every network and the ``fusion`` readings.

    ``run/quality/measures.csv`` gets a row an image, its ``kind`` first: ``hand`` for those of the ``fusion`` split, in
    between ``pair`` for two hands in one image; ``noisy`` or ``compressed`` for the same hand spoiled, ``locally
    enhanced`` or ``equalised`` for the same with another contrast, each with how far its bone age ``moved`` (months,
    without test-time augmentation); and other kinds for images that are none, one a hand.
    Images in which nothing looks like a hand are left out: they are rejected before anything is measured.
    """
    path = run.path / layout.QUALITY / layout.MEASURES_FILE
    if run.begin(layout.QUALITY) is not None or path.is_file():
        return
    segmenter = Segmenter(run.network(layout.SEGMENTER))
    finder = _finder(run)
    readings, config = read_readings(run), run.config
    readers = [_reader(run, region, tta=False) for region in config.regions]
    fuser = open_fuser(run)
    hands = [hand for hand in run.manifest.itertuples() if hand.id in readings]

    def analyse(radiograph: Radiograph, mask: HandMask | None = None) -> Analysis | None:
        mask = mask or segmenter(radiograph)
        if not mask.pixels.any():
            return None
        frame = apply_steps(hand_frame(radiograph, mask, config.frame_size), mask, config.steps)
        return Analysis(radiograph, mask, frame, tuple(finder(frame)))

    def row(kind: str, analysis: Analysis | None, **more: float) -> list[dict[str, Any]]:
        return [] if analysis is None else [{"kind": kind, **measure(analysis, finder.regions), **more}]

    def spoiled_row(kind: str, radiograph: Radiograph, hand: Any) -> list[dict[str, Any]]:
        if (analysis := analyse(radiograph)) is None:
            return []
        attempts = (reader(analysis.frame, list(analysis.boxes), hand.sex) for reader in readers)
        found = tuple(reading for reading in attempts if reading is not None)
        ages = [fuser(each, hand.sex)[0] for each in (found, readings[hand.id])]
        return row(kind, analysis, disagreement=disagreement(found), moved=abs(ages[0] - ages[1]))

    def work(number: int) -> list[dict[str, Any]]:
        hand: Any = hands[number]
        radiograph, random = read_hand(hand), np.random.default_rng(number)
        mask = segmenter(radiograph)
        spread = disagreement(tuple(readings[hand.id]))
        rows = row("hand", analyse(radiograph, mask), disagreement=spread)
        kind, other = not_a_hand(number, radiograph, mask, random)
        rows += row(kind, analyse(other))
        if number % PAIRS == 0:
            rows += row("pair", analyse(side_by_side(radiograph, read_hand(hands[number - 1]))))
        rows += spoiled_row(*spoiled(number, radiograph, random), hand)
        return rows + spoiled_row(*enhanced(number, radiograph, random), hand)

    found = [image for rows in in_threads(work, range(len(hands)), "quality measures", progress) for image in rows]
    write_atomically(path, pd.DataFrame(found).to_csv(index=False))


def cache_readings(
    run: Run, region: str, split: str = "fusion", *, tta: bool = True, progress: Progress | None = None
) -> None:
    """Read a region of the hands of a split; needs its trained CNN."""
    stage = layout.readings_stage(region, split, tta=tta)
    if not run.begin_anew(stage):
        return
    cache_frames(run, progress)
    reader, frames = _reader(run, region, tta=tta), FrameCache(run)
    boxes = {} if REGIONS[region].whole else read_boxes(run)
    hands = run.manifest
    wanted = [(str(hand.id), hand.sex) for hand in hands[hands.split == split].itertuples()]

    def work(hand: tuple[str, Sex]) -> RegionReading | None:
        key, sex = hand
        return reader(frames[key], boxes.get(key, []), sex)

    readings = list(in_threads(work, wanted, f"{region} readings", progress))
    found = {key: reading for (key, _), reading in zip(wanted, readings, strict=True) if reading is not None}
    if not found:
        raise InputError(nothing_found(run, region, split))
    write_readings(readings_path(run, region, split, tta=tta), found)
    run.finish(stage, {"images": len(found)}, outputs=[layout.READINGS_FILE])


def nothing_found(run: Run, region: str, split: str) -> str:
    """Which stage failed when a region was found on no hand, and what to look at."""
    stage = layout.DETECTOR if plan.finder_is_trained(run.config) else layout.FRAMES
    return (
        f"{run.path}: {region} was found on none of the {split} hands, so the {run.config.finder_kind} failed: "
        f"look at {run.path / stage} ({layout.METRICS}, curves.png) and at the annotations of {region}; "
        "more annotated hands or epochs may help"
    )


def open_fuser(run: Run) -> Fuser:
    """The trained fusion."""
    config = run.config
    return Fuser.open(
        run.path / layout.FUSION, regions=tuple(config.regions), grid=config.grid, kind=config.fusion.kind
    )


def _finder(run: Run) -> Finder:
    """What finds the run's regions."""
    network = run.network(layout.DETECTOR) if plan.finder_is_trained(run.config) else None
    return open_finder(run.config.finder_kind, network, found_regions(run))


def found_regions(run: Run) -> tuple[str, ...]:
    """What the run's finder looks for; a detector that was taken over may know more than the run reads."""
    if plan.finder_is_trained(run.config) and (metrics := run.metrics(layout.DETECTOR)) is not None:
        return tuple(metrics.get("regions") or detected(run.config.regions))
    return detected(run.config.regions)


def _reader(run: Run, region: str, *, tta: bool) -> RegionReader:
    """A region's trained CNN."""
    config = run.config.regions[region]
    network = run.network(layout.region_stage(region))
    views = [View(view.mirrored, view.scale, view.degrees) for view in run.config.views[: None if tta else 1]]
    return RegionReader(network, region, size=config.size, margin=config.margin, views=views, grid=run.config.grid)


def in_threads(
    work: Callable[[Any], Result], items: Any, title: str, progress: Progress | None = None
) -> Iterator[Result]:
    """Do ``work`` on every item in order, on all cores."""
    # Threads do: decoding, resizing and networks release the interpreter's lock.
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        yield from tracked(pool.map(work, items), title, len(items), progress)
    finally:
        pool.shutdown(cancel_futures=True)
