"""The command that puts the shares and parts of an archive together: merge."""

from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.cli.common import OverwriteOption, app, examples, given_path, say


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
