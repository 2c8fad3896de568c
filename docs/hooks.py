"""What the site's pages take from elsewhere when they are built: pages of the root, the commands, the decisions."""

import re
from pathlib import Path
from typing import Any

import typer.main

ROOT = Path(__file__).parents[1]
DECISIONS = Path(__file__).parent / "explanation/decisions"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put the text of the code in place of a page's markers."""
    if "<!-- commands -->" in markdown:
        markdown = markdown.replace("<!-- commands -->", command_reference())
    if "<!-- decisions -->" in markdown:
        markdown = markdown.replace("<!-- decisions -->", decision_list())
    return re.sub(r"<!-- page: (\S+) -->", lambda found: page_of_the_root(found[1]), markdown)


def page_of_the_root(name: str) -> str:
    """A page beside the README; its links into ``docs`` stay, those to other files become plain text."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
    return re.sub(r"\[([^\]]+)\]\((?!https?:|[\w/-]+\.md)[^)]*\)", r"\1", text)


def command_reference() -> str:
    """Every command with its help, arguments and options, as Markdown."""
    from boneage_roi.cli.root import app

    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    return "\n".join(_command(name, command) for name, command in sorted(commands.items()) if not command.hidden)


def decision_list() -> str:
    """The decision notes, newest first."""
    notes = []
    for page in DECISIONS.glob("[0-9]*.md"):
        title, _, rest = page.read_text(encoding="utf-8").partition("\n")
        date = re.search(r"\d{4}-\d\d-\d\d", rest)
        assert date, f"{page}: no date"
        notes.append((date[0], page.name, title.removeprefix("# ")))
    lines = [f"| {date} | [{title}]({name}) |" for date, name, title in sorted(notes, reverse=True)]
    return "\n".join(["| date | decision |", "|---|---|", *lines])


def _command(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True)
    usage = " ".join(["boneage-roi", name, *command.collect_usage_pieces(context)])
    text = [f"## {name}", "", "```text", usage, "```", "", command.help or "", ""]
    rows = [_parameter(each, context) for each in command.params]
    text += ["| | |", "|---|---|", *filter(None, rows), ""]
    if command.epilog:
        text += ["```sh", *(line.strip() for line in command.epilog.splitlines()[1:]), "```", ""]
    return "\n".join(text)


def _parameter(parameter: Any, context: Any) -> str:
    """A row of a command's table; empty for what its help does not show."""
    record = parameter.get_help_record(context)
    if record is None:
        return ""
    names, text = (" ".join(part.split()) for part in record)
    escaped = text.replace("|", "\\|")
    return f"| `{names}` | {escaped} |"
