"""What reading an archive adds: options of predict, and the command that puts shares together."""

from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.cli.common import OverwriteOption, app, examples, given_path, say

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


@app.command(
    epilog=examples(
        "merge ages-0.csv ages-1.csv ages-2.csv --output ages.csv", "merge parts.parquet/ --output ages.parquet"
    )
)
def merge(
    parts: Annotated[
        list[Path],
        typer.Argument(metavar="PART...", help="Files of shares or parts, or folders of them.", parser=given_path),
    ],
    output: Annotated[Path, typer.Option(metavar="FILE", help="The whole; ends as the parts do.", parser=given_path)],
    overwrite: OverwriteOption = False,
) -> None:
    """Put the files of `predict --shard` or `--part-rows` together.

    All must be there, none twice, and made by the same bundle, options and version of the same inputs. The order is
    that of the inputs.
    """
    from boneage_roi.outputs.merging import merge as put_together

    say(f"{put_together(parts, output, overwrite=overwrite)} rows in {output}")
