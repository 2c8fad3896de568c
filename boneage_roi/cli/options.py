"""Options that several commands have, and those of `predict` for archives."""

from pathlib import Path
from typing import Annotated, Any

import typer

from boneage_roi.cli.common import given_input, given_path

Inputs = Annotated[
    list[Any],
    typer.Argument(
        metavar="IMAGE|DIR|MANIFEST",
        help="Images, folders, TAR and ZIP archives, manifests (CSV, Parquet); URLs too (s3://...).",
        parser=given_input,
    ),
]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", metavar="DIR", help="Bundle to use instead of the shipped one.", parser=given_path),
]
SexOption = Annotated[
    str | None,
    typer.Option(metavar="M|F", help="Sex for images whose manifest gives none; goes before a DICOM file's own."),
]
AgeOption = Annotated[
    str | None, typer.Option(metavar="AGE", help="Chronological age, such as 10y4m or 124 (months); as --sex.")
]
BirthOption = Annotated[
    str | None, typer.Option(metavar="DATE", help="Birth date (2014-03-09), with the study date; instead of an age.")
]
StudyOption = Annotated[str | None, typer.Option(metavar="DATE", help="Day of the radiograph; as --sex.")]
HeightOption = Annotated[
    float | None, typer.Option(metavar="CM", help="Standing height, for the adult height; as --sex.")
]
TtaOption = Annotated[
    bool,
    typer.Option("--tta/--no-tta", help="Read each region in all views of the bundle: a little more accurate, slower."),
]
AspectOption = Annotated[
    str,
    typer.Option(
        metavar="auto|as-is",
        help="auto restores a hand that looks squashed, unless its native size or pixel spacing is known.",
    ),
]
ProviderOption = Annotated[
    str,
    typer.Option(
        metavar="cpu|cuda|openvino|...",
        help="What runs the networks, where ONNX Runtime has it; the CPU takes its place when it does not start.",
    ),
]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Only so many hands, drawn at random.")]
SeedOption = Annotated[int, typer.Option(help="Of --limit: the same seed draws the same hands.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else on stdout.")]

WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="Processes that read; default: by cores and memory, 1 for a few images."),
]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive", "-r", help="Read the folders in folders too, such as those of a PACS.")
]
ResumeOption = Annotated[
    bool, typer.Option("--resume", help="Keep the rows of a stopped run whose input, bundle and options are the same.")
]
ShardOption = Annotated[
    str | None, typer.Option(metavar="I/N", help="Read only share I of N (0/3, 1/3, 2/3); `merge` puts them together.")
]
PartRowsOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Make --output a folder of files with N rows each.")
]
EngineOption = Annotated[str, typer.Option(metavar="local|ray", help="Where the work is done.")]
AddressOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Of a Ray cluster; auto finds the one of this machine.")
]


def folder_option(help_text: str) -> Any:
    """An option for a folder of results."""
    return typer.Option(metavar="DIR", help=help_text, parser=given_path)
