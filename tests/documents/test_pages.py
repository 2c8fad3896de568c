"""What the documents say is so: their snippets run, their links lead somewhere, their commands exist."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pydantic import BaseModel

import boneage_roi
import boneage_roi.cli.root
from boneage_roi import __version__
from boneage_roi.cli.common import app
from boneage_roi.configs.finders import FINDERS
from boneage_roi.configs.schema import (
    AspectConfig,
    AttentionConfig,
    DetectorConfig,
    FusionConfig,
    GridConfig,
    LayerConfig,
    RegionConfig,
    RegressorsConfig,
    RoundConfig,
    SegmenterConfig,
    TrainConfig,
    TreesConfig,
    ViewConfig,
)
from boneage_roi.imaging.steps import STEPS
from boneage_roi.pipeline.manifest import FUSION_FILES
from boneage_roi.quality.gate import WORDINGS
from tests.bundles import needs_bundle
from tests.documents.pages import PAGES, ROOT, anchors, blocks, commands, links, name

MOST_WORDS = 900
WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@needs_bundle
@pytest.mark.parametrize("page", WITH_PYTHON, ids=name)
def test_python_snippets_run(page: Path, tmp_path: Path) -> None:
    for folder in ("examples", "docs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    code = "\n".join(blocks(page, "python"))
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()


@needs_bundle
def test_the_readme_shows_what_it_prints(tmp_path: Path) -> None:
    code = f"import boneage_roi as br; print(br.load().predict({str(ROOT / 'examples/girl-10y.png')!r}, sex='F'))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert f"# {ran.stdout.strip()}\n" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)}: {link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{name(page)}: {link} leads out of the repository"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{name(page)}: {link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_exist(page: Path) -> None:
    for words in commands(page):
        if words[0].startswith("-"):
            assert words[0] in ("--version", "--help")
            continue
        if not re.fullmatch(r"[a-z-]+", words[0]):
            continue  # COMMAND and the like
        assert words[0] in COMMANDS, f"{name(page)}: boneage-roi {' '.join(words)}: no such command"
        known = {option for each in COMMANDS[words[0]].params for option in (*each.opts, *each.secondary_opts)}
        given = {word.split("=")[0] for word in words if word.startswith("--")}
        assert given <= known | {"--help"}, f"{name(page)}: boneage-roi {' '.join(words)}: {given - known}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) < MOST_WORDS


def test_one_file_and_one_dictionary_for_each_thing_to_add() -> None:
    table = re.findall(
        r"^\| an? .*?\| `([\w/]+\.py)`.*?\| `(\w+)` \|$",
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(table) > 3
    for file, dictionary in table:
        try:
            module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("boneage_roi"):
                raise
            continue  # a package of an extra that is not installed
        assert isinstance(getattr(module, dictionary), dict), f"{file}: {dictionary}"


def test_the_reference_has_every_public_name() -> None:
    reference = (ROOT / "docs/reference/python.md").read_text(encoding="utf-8")
    missing = [each for each in boneage_roi.__all__ if f"boneage_roi.{each}\n" not in reference + "\n"]
    assert missing == []


def test_every_flag_is_explained() -> None:
    page = (ROOT / "docs/how-to/read-the-flags.md").read_text(encoding="utf-8")
    for measure, wording in WORDINGS.items():
        parts = [part.strip(" :;%()") for part in re.split(r"\{[^}]*\}", wording.reason)]
        assert all(part in page for part in parts), f"{measure}: {wording.reason}"


def presets() -> list[str]:
    return [path.stem for path in (ROOT / "boneage_roi/configs").glob("*.yaml")]


def test_every_method_of_the_literature_is_described() -> None:
    page = (ROOT / "docs/reference/literature.md").read_text(encoding="utf-8")
    for path in (ROOT / "boneage_roi/configs/literature").glob("*.yaml"):
        assert f"| `{path.stem}` |" in page


def test_every_setting_is_described() -> None:
    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    first_cells = set(re.findall(r"\w+", " ".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))))
    listed: tuple[type[BaseModel], ...] = (TrainConfig, RegionConfig, RoundConfig, FusionConfig)
    for settings in listed:
        assert settings.model_fields.keys() - first_cells == set(), settings.__name__
    named = set(re.findall(r"\w+", page))
    listed = (SegmenterConfig, DetectorConfig, AspectConfig, AttentionConfig, GridConfig, ViewConfig)
    listed += (LayerConfig, TreesConfig, RegressorsConfig)
    for settings in listed:
        assert settings.model_fields.keys() - named == set(), settings.__name__
    for known in (STEPS, FINDERS, FUSION_FILES, presets()):
        assert all(f"`{each}`" in page for each in known)


def test_the_changelog_knows_the_version() -> None:
    assert re.search(rf"^## {re.escape(__version__)}\b", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_idiom_that_the_glossary_has_a_plain_word_for(page: Path) -> None:
    assert not re.search(r"\b(come|comes|came) along\b", page.read_text(encoding="utf-8"))


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    if find_spec("mkdocs") is None or find_spec("mkdocstrings") is None:
        pytest.skip("needs the dependency group docs")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(build, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    commands_page = (tmp_path / "site/reference/commands/index.html").read_text(encoding="utf-8")
    assert all(f'id="{command}"' in commands_page for command in COMMANDS)
    python_page = (tmp_path / "site/reference/python/index.html").read_text(encoding="utf-8")
    assert "boneage_roi.BoneAgeReader.predict" in python_page
    outside = re.findall(r'(?:src|href)="(https?://[^"]+\.(?:js|css|woff2?))"', commands_page)
    assert not outside
