"""Which images the quality gate refuses: hands that it should read, and images that are no child's hand.

    uv run --group benchmark python benchmarks/rejection.py runs/default/manifest.csv --output rejection.md

The hands are those of a split of the manifest. The other images are radiographs, scans and photos that come with the
packages pydicom-data and scikit-image, whole and as turned or inverted crops; drawn pages; and pieces of the manifest's
hands. None of them was used to learn the limits.
"""

import argparse
import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import data_store
import numpy as np
import pandas as pd
import skimage
from numpy.random import Generator
from rich.console import Console
from rich.progress import track

from boneage_roi.datasets.manifest import read_hand
from boneage_roi.errors import InputError, RejectedError
from boneage_roi.imaging.intensity import stretch
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.pipeline import BoneAgeReader
from boneage_roi.pipeline.tables import read_table
from boneage_roi.quality.dataset import MAKERS, not_a_hand
from boneage_roi.values import FloatImage, Radiograph

SCANS = Path(data_store.__file__).parent / "data"
PICTURES = Path(skimage.__file__).parent / "data"

SOURCES = {
    "chest radiograph": (SCANS, ["RG1_UNCR.dcm"]),
    "tibia radiograph": (SCANS, ["RG3_UNCR.dcm"]),
    "CT": (SCANS, ["693_UNCR.dcm", "explicit_VR-UN.dcm"]),
    "MR": (SCANS, ["MR2_UNCR.dcm", "MR-SIEMENS-DICOM-WithOverlays.dcm", "vlut_04.dcm"]),
    "ultrasound": (SCANS, ["US1_UNCR.dcm", "OBXXXX1A.dcm", "gdcm-US-ALOKA-16.dcm"]),
    "photo": (PICTURES, ["astronaut.png", "camera.png", "chelsea.png", "coffee.png", "horse.png", "rocket.jpg"]),
    "texture": (PICTURES, ["brick.png", "grass.png", "gravel.png", "coins.png"]),
    "microscopy, retina": (PICTURES, ["cell.png", "ihc.png", "retina.jpg"]),
    "sky": (PICTURES, ["hubble_deep_field.jpg", "moon.png"]),
    "page": (PICTURES, ["page.png", "text.png"]),
    "test chart": (PICTURES, ["chessboard_GRAY.png", "color.png", "phantom.png", "logo.png"]),
}
"""Kinds of image, the folder they lie in, and their files."""

HAND = "**child's hand**"

EACH = 30
"""Images of a kind."""


def crop(pixels: FloatImage, random: Generator) -> FloatImage:
    """A part of an image, turned by quarters, inverted one time in four."""
    height, width = pixels.shape
    share = random.uniform(0.35, 1)
    high, wide = max(round(height * share), 64), max(round(width * share), 64)
    top, left = (int(random.integers(0, max(room, 0) + 1)) for room in (height - high, width - wide))
    part = np.rot90(pixels[top : top + high, left : left + wide], int(random.integers(4)))
    return np.ascontiguousarray(1 - part if random.random() < 0.25 else part)


def drawn_hand(random: Generator) -> FloatImage:
    """A palm and five fingers without a bone in them."""
    page = np.zeros((512, 400), np.uint8)
    cv2.ellipse(page, (200, 330), (70, 80), 0, 0, 360, 150, -1)
    cv2.rectangle(page, (165, 380), (235, 511), 140, -1)
    for degrees, length in ((-50, 110), (-18, 170), (0, 185), (15, 175), (32, 140)):
        angle = np.deg2rad(degrees + random.normal(0, 4))
        way = np.array([np.sin(angle), -np.cos(angle)])
        ends = (np.array([200, 330]) + way * reach for reach in (40, 60 + length))
        (x1, y1), (x2, y2) = ((round(float(x)), round(float(y))) for x, y in ends)
        cv2.line(page, (x1, y1), (x2, y2), 150, int(random.integers(24, 40)))
    return stretch(cv2.GaussianBlur(page, (0, 0), random.uniform(0.5, 4)) + random.normal(0, 4, page.shape))


def others() -> Iterator[tuple[str, Radiograph]]:
    """Images that are no hand, with their kind."""
    random = np.random.default_rng(0)
    for kind, (folder, names) in SOURCES.items():
        whole = [read_radiograph(folder / name).pixels for name in names]
        for number in range(EACH):
            pixels = whole[number % len(whole)]
            yield kind, Radiograph(pixels if number < len(whole) else crop(pixels, random))
    for _ in range(EACH):
        yield "drawn hand", Radiograph(drawn_hand(random))
    rows, columns = np.mgrid[:400, :320]
    for _ in range(EACH):
        ramp = random.normal(0, 1) * rows + random.normal(0, 1) * columns + random.normal(0, 5, rows.shape)
        yield "blank", Radiograph(stretch(ramp.astype(np.float32)))


def pieces(hands: pd.DataFrame, predictor: BoneAgeReader) -> Iterator[tuple[str, Radiograph]]:
    """Pieces of hands, with their kind."""
    for number, hand in enumerate(hands.head(EACH * len(MAKERS)).itertuples()):
        radiograph = read_hand(hand)
        kind, piece = not_a_hand(number, radiograph, predictor.segment(radiograph), np.random.default_rng(number))
        yield f"hand: {kind}" if kind not in ("noise", "text", "shapes") else kind, piece


def main() -> None:
    """Judge every image, print the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="a manifest CSV with sex and boneage")
    parser.add_argument("--split", default="test", help="only rows of this split (default: %(default)s)")
    parser.add_argument("--hands", type=int, help="how many, drawn at random (default: all)")
    parser.add_argument("--bundle", type=Path, help="default: the shipped one")
    parser.add_argument("--output", type=Path, help="write the page here")
    options = parser.parse_args()
    warnings.simplefilter("ignore")

    table = read_table(options.manifest)
    hands = table[table["split"] == options.split]
    hands = hands.sample(min(options.hands or len(hands), len(hands)), random_state=0)
    predictor = BoneAgeReader(options.bundle, tta=False)

    def verdict(image: tuple[str, Radiograph]) -> tuple[str, str, str]:
        kind, radiograph = image
        try:
            flags = predictor.predict(radiograph, sex=radiograph.sex or "F").flags
        except RejectedError as error:
            return kind, "rejected", error.reasons[0]
        except InputError as error:
            return kind, "rejected", str(error)
        return kind, "warning" if flags else "ok", ""

    def images() -> Iterator[tuple[str, Radiograph]]:
        for hand in hands.itertuples():
            yield HAND, read_hand(hand)
        yield from others()
        yield from pieces(hands, predictor)

    total = len(hands) + EACH * (len(SOURCES) + 2) + min(EACH * len(MAKERS), len(hands))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        judged = list(track(pool.map(verdict, images()), "judging", total=total, console=Console(stderr=True)))
    found = pd.DataFrame(judged, columns=["kind", "verdict", "reason"])
    counts = pd.crosstab(found.kind, found.verdict).reindex(columns=["ok", "warning", "rejected"], fill_value=0)
    no_hands = counts.drop(index=HAND)
    command = f"uv run --group benchmark python benchmarks/rejection.py {options.manifest} --hands {len(hands)}"
    lines = [
        "# Rejection",
        "",
        f"What the quality gate says of {len(hands)} hands and of {no_hands.values.sum()} images that are none,",
        "none of which it has learnt from. Made by",
        "",
        f"    {command}",
        "",
        f"Of the hands {counts.rejected[HAND] / len(hands):.2%} are rejected, of the other images "
        f"{no_hands.rejected.sum() / no_hands.values.sum():.2%}.",
        "",
        "| image | number | ok | warning | rejected |",
        "|---|---|---|---|---|",
        *(f"| {kind} | {row.sum()} | {row.ok} | {row.warning} | {row.rejected} |" for kind, row in counts.iterrows()),
    ]
    page = "\n".join(lines) + "\n"
    print(page)
    print(found[found.verdict == "rejected"].groupby("kind").reason.agg(lambda reasons: reasons.mode()[0]).to_string())
    if options.output:
        options.output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    from script import run_script

    run_script(main)
