"""The ages that the shipped bundle reads from the example radiographs, kept in ``golden.json``.

    python -m tests.golden

writes them anew. Do so when another bundle is shipped, or when the way to an age is changed on purpose, and look at the
difference that git shows: it is what a user's ages change by.
"""

import json
from pathlib import Path

from boneage_roi import load
from boneage_roi.datasets.manifest import read_manifest
from tests.bundles import EXAMPLES

FILE = Path(__file__).with_name("golden.json")

Ages = dict[str, dict[str, float]]


def read_examples(*, tta: bool = True) -> Ages:
    """Age, interval and each region's own age of every example, months."""
    reader, ages = load(tta=tta), Ages()
    for row in read_manifest(EXAMPLES / "manifest.csv").itertuples():
        read = reader.predict(str(row.path), sex=str(row.sex))
        alone = {name: reading.expected_age for name, reading in read.regions.items()}
        found = {"bone_age": read.months, "lower": read.lower, "upper": read.upper, **alone}
        ages[Path(str(row.path)).stem] = {name: round(float(value), 2) for name, value in found.items()}
    return ages


def main() -> None:
    """Write the file."""
    ages = {"with test-time augmentation": read_examples(), "without": read_examples(tta=False)}
    FILE.write_text(json.dumps(ages, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
