"""How much the bone age changes when the same radiograph comes turned, mirrored, darker, smaller, noisier or cut.

    uv run python benchmarks/robustness.py runs/default/manifest.csv --split test --hands 200

Every change is made on the radiograph as a viewer shows it, written to a file and read like any other. A row of the
table holds the change of the predicted bone age against that of the unchanged file (mean and 95th percentile of its
absolute value, months), how much the mean absolute error grew, how many of the hands were rejected, and the mean
change if none were.
"""

import argparse
import os
import tempfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from boneage_roi.datasets.augmentation import through_jpeg
from boneage_roi.errors import InputError
from boneage_roi.imaging.reading import read_radiograph
from boneage_roi.pipeline import BoneAgeReader
from boneage_roi.pipeline.inputs import list_inputs
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.tables import read_table
from boneage_roi.values import Radiograph

Pixels = NDArray[np.uint8]
Change = Callable[[Pixels, np.random.Generator], Pixels]


def turned(degrees: float) -> Change:
    """Turned counter-clockwise on a canvas that grows, black beside it."""

    def change(pixels: Pixels, _: np.random.Generator) -> Pixels:
        height, width = pixels.shape
        turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
        sine, cosine = abs(turn[0, 1]), abs(turn[0, 0])
        size = round(height * sine + width * cosine), round(height * cosine + width * sine)
        turn[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
        return np.asarray(cv2.warpAffine(pixels, turn, size), np.uint8)

    return change


def gamma(power: float) -> Change:
    """Darker mid-tones above 1, brighter ones below."""
    return lambda pixels, _: np.asarray((pixels / 255.0) ** power * 255, np.uint8)


def levels(low: int, high: int) -> Change:
    """All greys pressed between two; outside 0..255 they are cut off."""
    return lambda pixels, _: np.asarray((low + pixels / 255.0 * (high - low)).clip(0, 255), np.uint8)


def scaled(factor: float) -> Change:
    """More or fewer pixels."""
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return lambda pixels, _: np.asarray(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=way), np.uint8)


def jpeg(quality: int) -> Change:
    """Through a JPEG of this quality."""
    return lambda pixels, _: through_jpeg(pixels, quality)


def noisy(deviation: float) -> Change:
    """Gaussian noise of this standard deviation, in greys of 255."""
    return lambda pixels, random: np.asarray(
        (pixels + random.normal(0, deviation, pixels.shape)).clip(0, 255), np.uint8
    )


def framed(share: float, grey: int) -> Change:
    """A border on every side, as wide as a share of the image."""

    def change(pixels: Pixels, _: np.random.Generator) -> Pixels:
        high, wide = (round(share * side) for side in pixels.shape)
        return np.asarray(cv2.copyMakeBorder(pixels, high, high, wide, wide, cv2.BORDER_CONSTANT, value=grey), np.uint8)

    return change


def in_a_corner(pixels: Pixels, _: np.random.Generator) -> Pixels:
    """The image in the lower left quarter of a larger detector, black elsewhere."""
    height, width = pixels.shape
    return np.asarray(np.pad(pixels, ((height, 0), (0, width))), np.uint8)


def collimated(pixels: Pixels, _: np.random.Generator) -> Pixels:
    """A tilted black diaphragm that leaves the middle 96 %."""
    height, width = pixels.shape
    corners = cv2.boxPoints((((width - 1) / 2, (height - 1) / 2), (0.97 * width, 0.97 * height), 2))
    field = cv2.fillConvexPoly(np.zeros_like(pixels), np.rint(corners).astype(np.int32), 1)
    return np.asarray(pixels * field, np.uint8)


def marker(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """A lead letter with a plate behind it, in one of the upper corners."""
    side = max(pixels.shape) // 9
    plate = np.full((side, side), 90, np.uint8)
    cv2.putText(plate, "L", (side // 4, 4 * side // 5), cv2.FONT_HERSHEY_SIMPLEX, side / 30, 255, max(side // 10, 1))
    marked, edge = pixels.copy(), side // 4
    left = edge if random.random() < 0.5 else pixels.shape[1] - side - edge
    marked[edge : edge + side, left : left + side] = plate
    return marked


def text(pixels: Pixels, _: np.random.Generator) -> Pixels:
    """Three lines burned in at the lower left."""
    written, unit = pixels.copy(), max(pixels.shape) / 400
    for line in range(3):
        place = (round(6 * unit), pixels.shape[0] - round((6 + 14 * line) * unit))
        cv2.putText(written, "EXAM 2024-01-01", place, cv2.FONT_HERSHEY_SIMPLEX, 0.4 * unit, 255, max(round(unit), 1))
    return written


def photographed(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """A photo of a screen: keystone, a moire of lines, uneven light."""
    height, width = pixels.shape
    square = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    lean = square + random.uniform(-0.03, 0.03, (4, 2)).astype(np.float32) * [width, height]
    photo = cv2.warpPerspective(pixels, cv2.getPerspectiveTransform(square, lean.astype(np.float32)), (width, height))
    rows, columns = np.mgrid[:height, :width]
    lines = 6 * np.sin(rows * 2.1 + columns * 0.3)
    light = 0.75 + 0.25 * columns / width
    return np.asarray((photo * light + lines + 12).clip(0, 255), np.uint8)


def cut_off(top: float = 0, bottom: float = 0) -> Change:
    """Without a share of the rows at the top or the bottom."""
    return lambda pixels, _: pixels[round(top * len(pixels)) : len(pixels) - round(bottom * len(pixels))].copy()


def squashed(side: int) -> Change:
    """Made a square without heed of the aspect, as public copies of data sets are."""
    return lambda pixels, _: np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def letterboxed(side: int) -> Change:
    """Made a square with black bands, the aspect kept."""

    def change(pixels: Pixels, _: np.random.Generator) -> Pixels:
        scale = side / max(pixels.shape)
        shape = tuple(max(round(length * scale), 1) for length in reversed(pixels.shape))
        small = cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)
        top, left = ((side - length) // 2 for length in small.shape)
        below, right = side - small.shape[0] - top, side - small.shape[1] - left
        return np.asarray(cv2.copyMakeBorder(small, top, below, left, right, cv2.BORDER_CONSTANT, value=0), np.uint8)

    return change


def local_contrast(clip: float) -> Change:
    """CLAHE (Pizer et al. 1987) with OpenCV's usual 8 x 8 tiles, a common export of such copies."""
    return lambda pixels, _: np.asarray(cv2.createCLAHE(clip, (8, 8)).apply(pixels), np.uint8)


def dropped(rows: int = 1, columns: int = 1) -> Change:
    """Only every so many rows and columns kept: the image is squashed and jagged."""
    return lambda pixels, _: np.ascontiguousarray(pixels[::rows, ::columns])


def screenshot(pixels: Pixels, _: np.random.Generator) -> Pixels:
    """A viewer's window: the image made to fit 900 rows, its greys windowed, grey controls on two sides."""
    scale = 900 / pixels.shape[0]
    shown = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    shown = (1.15 * shown.astype(np.float32) - 12).clip(0, 255)
    return np.asarray(cv2.copyMakeBorder(shown, 40, 0, 160, 0, cv2.BORDER_CONSTANT, value=48), np.uint8)


CHANGES: dict[str, Change] = {
    "turned by 90 degrees": turned(90),
    "turned by 180 degrees": turned(180),
    "turned by 270 degrees": turned(270),
    "turned by 10 degrees": turned(10),
    "turned by 45 degrees": turned(45),
    "turned by 137 degrees": turned(137),
    "mirrored": lambda pixels, _: pixels[:, ::-1].copy(),
    "inverted": lambda pixels, _: 255 - pixels,
    "black frame": framed(0.25, 0),
    "white frame": framed(0.1, 255),
    "in a corner": in_a_corner,
    "collimated": collimated,
    "gamma 0.6": gamma(0.6),
    "gamma 1.6": gamma(1.6),
    "low contrast": levels(90, 150),
    "brighter, cut off": levels(20, 290),
    "darker, cut off": levels(-30, 230),
    "JPEG, quality 30": jpeg(30),
    "half the pixels a side": scaled(0.5),
    "twice the pixels a side": scaled(2),
    "noise, 4 greys": noisy(4),
    "noise, 8 greys": noisy(8),
    "blurred": lambda pixels, _: np.asarray(cv2.GaussianBlur(pixels, (0, 0), 1), np.uint8),
    "marker": marker,
    "text": text,
    "photo of a screen": photographed,
    "upper 5 % missing": cut_off(top=0.05),
    "lower 5 % missing": cut_off(bottom=0.05),
    "lower 15 % missing": cut_off(bottom=0.15),
    "squashed to 299 x 299": squashed(299),
    "squashed to 512 x 512": squashed(512),
    "letterboxed to 512 x 512": letterboxed(512),
    "CLAHE, clip 2": local_contrast(2),
    "CLAHE, clip 4": local_contrast(4),
    "CLAHE, clip 8": local_contrast(8),
    "histogram equalised": lambda pixels, _: np.asarray(cv2.equalizeHist(pixels), np.uint8),
    "every second row dropped": dropped(rows=2),
    "every second column dropped": dropped(columns=2),
    "screenshot": screenshot,
}
"""What is done to a radiograph; those that the project promises limits for come first."""


Ages = dict[str, float | None]


def readings(predictor: BoneAgeReader, item: Item, changes: dict[str, Change], folder: Path) -> tuple[Ages, Ages]:
    """Bone age of a radiograph after each change: None where it was refused; and with nothing refused."""
    radiograph = read_radiograph(item.path, sex=item.sex, native_size=item.native_size)
    original = np.asarray(radiograph.pixels * 255, np.uint8)
    ages, whatever = Ages(), Ages()
    for name, change in {"unchanged": lambda pixels, _: pixels, **changes}.items():
        file = folder / f"{Path(item.path).stem}.png"
        random = np.random.default_rng(zlib.crc32(name.encode()))
        cv2.imwrite(str(file), change(original, random))
        changed = replace(read_radiograph(file), sex=radiograph.sex)
        try:
            ages[name] = whatever[name] = predictor.predict(changed).months
        except InputError:
            ages[name], whatever[name] = None, read_anyhow(predictor, changed)
        file.unlink()
    return ages, whatever


def read_anyhow(predictor: BoneAgeReader, radiograph: Radiograph) -> float | None:
    """The bone age of an image that the gate refuses; None where no hand was found at all."""
    sex = radiograph.sex or "F"
    try:
        return predictor.fuse(predictor.readings(predictor.analyse(radiograph), sex), sex)[0]
    except InputError:
        return None


def table(ages: pd.DataFrame, whatever: pd.DataFrame, truth: pd.Series) -> pd.DataFrame:
    """One row a change: what it did to the bone ages (hands x changes, months; missing where refused)."""
    unchanged = ages.pop("unchanged")
    rows = []
    for name, changed in ages.items():
        both = changed.notna() & unchanged.notna()
        moved = (changed - unchanged)[both].abs()
        error, before = ((values - truth)[both].abs().mean() for values in (changed, unchanged))
        rows.append(
            {
                "change": name,
                "mean": moved.mean(),
                "95th percentile": moved.quantile(0.95),
                "MAE": error - before,
                "rejected": 1 - changed[unchanged.notna()].notna().mean(),
                "nothing rejected": (whatever[name] - unchanged).abs().mean(),
            }
        )
    return pd.DataFrame(rows).set_index("change")


def markdown(rows: pd.DataFrame, hands: int, command: str) -> str:
    """The table as a page."""
    lines = [
        "# Robustness",
        "",
        f"What happens to the bone age of {hands} hands when the same radiograph comes in another state. Made by",
        "",
        f"    {command}",
        "",
        "Changes are against the unchanged file's bone age, in months; rejected hands have no bone age and are only in",
        "the last column, which is the mean change if nothing were rejected. MAE is how much the mean absolute error",
        "against the label grew.",
        "",
        "| change | mean change | 95th percentile | MAE | rejected | mean change of all |",
        "|---|---|---|---|---|---|",
    ]
    for name, row in rows.iterrows():
        moved = (
            f"{row['mean']:.2f} | {row['95th percentile']:.1f} | {row['MAE']:+.2f}"
            if row["rejected"] < 1
            else "- | - | -"
        )
        lines.append(f"| {name} | {moved} | {row['rejected']:.1%} | {row['nothing rejected']:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read every hand in every state, print the table, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, help="a manifest CSV with sex and boneage")
    parser.add_argument("--split", default="test", help="only rows of this split (default: %(default)s)")
    parser.add_argument("--hands", type=int, default=200, help="how many, drawn at random (default: %(default)s)")
    parser.add_argument("--bundle", type=Path, help="default: the shipped one")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="only changes whose name has one of these words")
    parser.add_argument("--output", type=Path, help="write the page here, such as docs/reference/robustness.md")
    options = parser.parse_args()

    hands = read_table(options.manifest)
    items = list_inputs([options.manifest])
    chosen = hands[hands["split"] == options.split].sample(options.hands, random_state=0)
    changes = {
        name: change
        for name, change in CHANGES.items()
        if not options.only or any(word in name for word in options.only)
    }
    predictor = BoneAgeReader(options.bundle)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        work = pool.map(lambda row: readings(predictor, items[row], changes, Path(folder)), chosen.index)
        rows = list(track(work, "reading hands", total=len(chosen), console=Console(stderr=True)))
    ages, whatever = (pd.DataFrame(some, index=chosen.index, dtype=float) for some in zip(*rows, strict=True))
    result = table(ages, whatever, chosen["boneage"])
    command = f"uv run python benchmarks/robustness.py {options.manifest} --hands {len(chosen)}"
    page = markdown(result, len(chosen), command)
    print(page)
    if options.output:
        options.output.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    from script import run_script

    run_script(main)
