"""Read bone ages by a running service, with Python's standard library alone.

boneage-roi serve &
python examples/client.py examples/girl-10y.png --sex F
"""

import argparse
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any


def read(path: Path, url: str = "http://127.0.0.1:8000", **fields: str) -> dict[str, Any]:
    """The record of a radiograph; ``fields`` are those that ``/docs`` of the service lists.

    Raises:
        ValueError: the service gives none; the message is its one line.
    """
    heads = {"Content-Type": "application/octet-stream"}
    if token := os.environ.get("BONEAGE_TOKEN"):
        heads["Authorization"] = f"Bearer {token}"
    place = f"{url}/v1/readings?{urllib.parse.urlencode(fields)}"
    try:
        with urllib.request.urlopen(urllib.request.Request(place, path.read_bytes(), heads), timeout=60) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        raise ValueError(json.load(error)["detail"]) from None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Read bone ages by a running service.")
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--sex", default="")
    options = parser.parse_args()
    for image in options.images:
        try:
            record = read(image, options.url, sex=options.sex)
            print(f"{image}: {record['bone_age_months']} months ({record['lower']} to {record['upper']})")
        except ValueError as error:
            print(f"{image}: {error}")
