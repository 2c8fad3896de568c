"""Commands that show why, and beside what: explain, atlas."""

from pathlib import Path
from typing import Annotated

import typer

from boneage_roi.cli.common import OverwriteOption, app, examples, given_path, interruptible, say
from boneage_roi.cli.options import BundleOption, JsonOption, folder_option
from boneage_roi.errors import InputError, look_up

SexOption = Annotated[str | None, typer.Option(metavar="M|F", help="The patient's sex; goes before the file's own.")]


@app.command(
    epilog=examples(
        "explain hand.png --sex F",
        "explain hand.dcm --method parts",
        "explain hand.png --sex M --method occlusion --method age-map --output why",
    )
)
def explain(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="One radiograph.", parser=given_path)],
    method: Annotated[
        list[str] | None,
        typer.Option(help="occlusion (default), attention, age-map, class-activation, parts; may come several times."),
    ] = None,
    sex: SexOption = None,
    output: Annotated[Path, folder_option("Where to put the pictures.")] = Path("explanations"),
    bundle: BundleOption = None,
    as_json: JsonOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Show why a bone age is what it is: heat over the hand as PNG, and each region's part in it as a table.

    occlusion: by how many months the bone age moves when a patch is hidden. attention: where the networks look.
    age-map: what the whole-hand network reads at each place. class-activation: what speaks for the age, in networks
    that say so. parts: weight of each region, and the age without it.
    """
    import json

    from boneage_roi.cli.terminal import plain_table, show
    from boneage_roi.explain import METHODS
    from boneage_roi.explain import explain as explained
    from boneage_roi.imaging.reading import read_radiograph
    from boneage_roi.outputs.files import OutputFiles
    from boneage_roi.outputs.heat import draw_heat
    from boneage_roi.outputs.overlay import encode_png
    from boneage_roi.pipeline.reader import BoneAgeReader

    methods = list(dict.fromkeys(method or ["occlusion"]))
    for name in methods:
        look_up(METHODS, name, "method")
    outputs = OutputFiles("explain", [image], overwrite=overwrite)
    pictures = {name: output / f"{image.stem}-{name}.png" for name in methods if name != "parts"}
    for path in pictures.values():
        outputs.claim(path)
    radiograph = read_radiograph(image, sex=sex)
    if radiograph.sex is None:
        raise InputError(f"{image}: an explanation is of one reading; give --sex M or --sex F")
    reader = BoneAgeReader(bundle)
    records = []
    with interruptible(f"pictures so far are in {output}"):
        analysis = reader.analyse(radiograph)
        for name in methods:
            why = explained(analysis, name, bundle=reader)
            records.append(why.to_dict())
            if name in pictures:
                outputs.write(pictures[name], encode_png(draw_heat(why)))
                records[-1]["picture"] = str(pictures[name])
            elif not as_json:
                heads = list(next(iter(why.table.values())))
                rows = [(region, *map(_number, row.values())) for region, row in why.table.items()]
                show(plain_table(("region", *heads), rows))
    if as_json:
        print(json.dumps(records, indent=2))
    else:
        for path in pictures.values():
            say(f"{path}")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


@app.command(epilog=examples("atlas --sex F --age 10y", "atlas --sex M --age 150 --output boy.png", "atlas"))
def atlas(
    sex: Annotated[str | None, typer.Option(metavar="M|F", help="Of the mean hand.")] = None,
    age: Annotated[str | None, typer.Option(metavar="AGE", help="Bone age: 10y, 10y6m, 126 (months).")] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Write it here instead of F-120.png.", parser=given_path)
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write the atlas's mean hand nearest to a bone age as PNG; without a sex and an age, list what there is.

    Each is the average of at least 25 hands of one sex and about one bone age, and no patient's.
    """
    from boneage_roi.ages import parse_age
    from boneage_roi.cli.terminal import plain_table, show
    from boneage_roi.growth.atlas import MISSING, STANDARDS, nearest_standard
    from boneage_roi.outputs.files import OutputFiles
    from boneage_roi.outputs.overlay import encode_png
    from boneage_roi.values import parse_sex

    if sex is None and age is None:
        rows = [(one.sex, f"{one.months / 12:g} y", str(one.hands), f"{one.mean_bone_age:.1f}") for one in STANDARDS]
        show(plain_table(("sex", "age", "hands", "mean bone age, months"), rows))
        say("too few hands: " + ", ".join(f"{of} {months / 12:g} y" for of, months in MISSING))
        return
    known = parse_sex(sex)
    if known is None or age is None:
        raise InputError("give both --sex and --age")
    standard = nearest_standard(parse_age(age), known)
    path = output or Path(f"{known}-{standard.months:03d}.png")
    OutputFiles("atlas", overwrite=overwrite).write(path, encode_png(standard.pixels))
    word = {"F": "girls", "M": "boys"}[known]
    say(f"{path}: mean of {standard.hands} {word} with a bone age of about {standard.months / 12:g} years")
