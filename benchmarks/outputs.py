"""How long a hand takes with every output: CSV, JSON, overlay, report (HTML, PDF), DICOM (SR, SC), FHIR.

    uv run --extra all python benchmarks/outputs.py
    uv run --extra all python benchmarks/outputs.py --runs 9 --threads 2

Reads a made-up study (``examples/make_studies.py``) with an open bundle, and hands the outcome to each sink in
turn; the occlusion map is not made. Every number is the median of ``--runs`` runs after one that goes before: the time
that passes, and the processor's, which other work on the computer changes less.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from boneage_roi.outputs.csv import CsvSink
from boneage_roi.outputs.dicom import DicomSink
from boneage_roi.outputs.fhir import FhirSink
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.json import JsonSink
from boneage_roi.outputs.pictures import PictureSink, bone_age_overlay
from boneage_roi.outputs.report import ReportSink
from boneage_roi.outputs.sink import Sink
from boneage_roi.pipeline.batch import predict_files
from boneage_roi.pipeline.item import Item
from boneage_roi.pipeline.reader import BoneAgeReader

EXAMPLES = Path(__file__).parents[1] / "examples"


Times = tuple[float, float]


def now() -> Times:
    """Seconds that passed, and those of the processor."""
    return time.perf_counter(), time.process_time()


def since(start: Times) -> Times:
    """The seconds since a moment."""
    passed, worked = now()
    return passed - start[0], worked - start[1]


def one_run(reader: BoneAgeReader, item: Item, folder: Path) -> dict[str, Times]:
    """Times of the reading and of each output."""
    outputs, bundle = OutputFiles("predict", [item.path]), reader.bundle
    sinks: dict[str, Sink] = {
        "CSV": CsvSink(folder / "ages.csv", reader.regions, outputs),
        "JSON": JsonSink(folder / "ages.json", reader.regions, outputs),
        "overlay": PictureSink(folder / "overlays", [item], outputs, bone_age_overlay),
        "report": ReportSink(folder / "reports", [item], outputs, bundle),
        "DICOM": DicomSink(folder / "dicom", [item], outputs, bundle),
        "FHIR": FhirSink(folder / "fhir", [item], outputs, bundle),
    }
    times = {}
    start = now()
    (outcome,) = predict_files(reader, [item])
    times["read"] = since(start)
    assert outcome.bone_age is not None, outcome.message
    for name, sink in sinks.items():
        start = now()
        sink.open()
        sink.write(outcome)
        sink.close(True)
        times[name] = since(start)
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="How long a hand takes with every output.")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of each network; default: one a core")
    options = parser.parse_args()
    sys.path.insert(0, str(EXAMPLES))
    from make_studies import STUDIES, study

    reader = BoneAgeReader(threads=options.threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hand.dcm"
        study(*STUDIES[1]).save_as(path, enforce_file_format=True)
        runs = [one_run(reader, Item(str(path)), Path(folder) / str(run)) for run in range(options.runs + 1)][1:]
    title = f"{reader.bundle.manifest.name}, every output of one hand, ms"
    table = Table("", "passed", "processor", title=title, title_justify="left")
    for name in runs[0]:
        table.add_row(name, *(f"{1e3 * median(run[name][kind] for run in runs):,.0f}" for kind in (0, 1)))
    table.add_section()
    table.add_row(
        "all", *(f"{1e3 * median(sum(t[kind] for t in run.values()) for run in runs):,.0f}" for kind in (0, 1))
    )
    Console().print(table)


if __name__ == "__main__":
    from script import run_script

    run_script(main)
