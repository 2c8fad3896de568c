"""The report: the finding as it is dictated, in five languages, as one HTML file and one PDF page."""

import os
import re
import shutil
import string
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from boneage_roi.errors import InputError
from boneage_roi.outputs.files import OutputFiles
from boneage_roi.outputs.report import ReportSink
from boneage_roi.outputs.report.words import FOLDER, LANGUAGES, Words, messages
from boneage_roi.pipeline.batch import Outcome
from boneage_roi.pipeline.bundle import Bundle
from boneage_roi.pipeline.item import Item
from boneage_roi.quality.gate import WORDINGS
from boneage_roi.values import BoneReading, RegionBox
from tests.bundles import write_toy_bundle
from tests.outputs.studies import outcome, study

pytest.importorskip("reportlab", reason="needs the extra report")

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FONTS = FOLDER.parent / "fonts"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return Bundle.load(write_toy_bundle(tmp_path_factory.mktemp("toy") / "bundle"))


def reported(folder: Path, outcomes: list[Outcome], bundle: Bundle, **options: Any) -> Path:
    """The folder of the reports of some outcomes."""
    items = [one.item for one in outcomes]
    sink = ReportSink(folder / "out", items, OutputFiles("predict", [item.path for item in items]), bundle, **options)
    sink.open()
    for one in outcomes:
        sink.write(one)
    sink.close(True)
    return folder / "out"


class Text(HTMLParser):
    """The words of a page, and what it loads or leads to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self._hidden = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag == "style"
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def pdf_text(path: Path) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("needs pdftotext")
    done = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_message(language: str) -> None:
    english, other = messages("en"), messages(language)
    assert list(other) == list(english)
    assert {key: fields(text) for key, text in other.items()} == {key: fields(text) for key, text in english.items()}
    assert all(text.strip() for text in other.values())


def test_the_fonts_have_every_letter() -> None:
    ttlib = pytest.importorskip("fontTools.ttLib")
    for name in ("regular.ttf", "bold.ttf", "regular.woff2", "bold.woff2"):
        known = ttlib.TTFont(FONTS / name).getBestCmap()
        for language in LANGUAGES:
            letters = {letter for text in messages(language).values() for letter in text}
            assert [letter for letter in letters if ord(letter) not in known] == [], f"{name}: {language}"


def test_every_flag_is_translated() -> None:
    flags = [
        reason.format(3, limit=3) for name, (_, reason) in WORDINGS.items() if name not in ("likeness", "second_hand")
    ]
    flags += ["sex unknown: 86 months if female, 109 if male", "carpal not found", "inverted"]
    flags += ["chronological age of 10.5 months: is it in years?", "looks 1.25 times too wide: aspect ratio restored"]
    words = Words("de")
    assert [flag for flag in flags if words.flag(flag) == flag] == []
    assert words.flag("carpal not found") == "Nicht gefunden: Handwurzel."
    assert words.flag("something new") == "something new"


def test_the_finding_is_dictated(tmp_path: Path, bundle: Bundle) -> None:
    study(tmp_path / "hand.dcm")
    page = Text(reported(tmp_path, [outcome(tmp_path / "hand.dcm")], bundle) / "hand.html").text
    for words in (
        "Radiograph of the left hand",
        "No earlier study.",
        "Chronological age: 10 y 0 m (120.0 months).",
        "Bone age: 12 y 6 m (150.0 months), 90 % interval 140.0 to 160.0 months.",
        "Boys of this age have a mean bone age of 125.7 months, standard deviation 9.8 months (Brush Foundation).",
        "+30.0 months. Standard deviation score: +2.48.",
        "Bone age is advanced: more than two standard deviations above the mean.",
        "The 90 % interval also includes: normal.",
        "Predicted adult height: 169.1 cm",
        "from 140.0 cm now (Bayley-Pinneau, for Greulich-Pyle bone age).",
        messages("en")["flag.inverted"],
        "For research. Not a medical device.",
        bundle.fingerprint,
    ):
        assert words in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pdf_is_one_page_with_the_same_words(tmp_path: Path, bundle: Bundle, language: str) -> None:
    study(tmp_path / "hand.dcm")
    folder = reported(tmp_path, [outcome(tmp_path / "hand.dcm")], bundle, language=language)
    assert len(re.findall(rb"/Type /Page\b(?!s)", (folder / "hand.pdf").read_bytes())) == 1
    said, words = pdf_text(folder / "hand.pdf"), Words(language)
    assert words("title").split()[0] in said
    assert words("research").split()[-1] in said
    assert f"({words.number(150)}" in said or f"\uff08{words.number(150)}" in said
    assert f'lang="{language}"' in (folder / "hand.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_bone_is_told_with_its_spread_and_framed_where_it_is_far(
    tmp_path: Path, bundle: Bundle, language: str
) -> None:
    study(tmp_path / "hand.dcm")
    one = outcome(tmp_path / "hand.dcm")
    box = RegionBox("epiphysis", (100, 100, 140, 140), 0.9)
    bones = (BoneReading("MCP2", box, 151.4, 14.6), BoneReading("ulna", box, 90, 21, far=True))
    assert one.bone_age is not None
    folder = reported(tmp_path, [replace(one, bone_age=replace(one.bone_age, bones=bones))], bundle, language=language)
    words, page = Words(language), (folder / "hand.html").read_text(encoding="utf-8")
    for text in (Text(folder / "hand.html").text, pdf_text(folder / "hand.pdf")):
        assert "MCP2 151 (15)" in text
        assert f"{words.bone('ulna')} 90 (21)" in text
    assert page.count('<div class="far">') == 1
    assert f'<div class="far"><dt>{words.bone("ulna")}</dt>' in page


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path, bundle: Bundle) -> None:
    study(tmp_path / "hand.dcm")
    path = reported(tmp_path, [outcome(tmp_path / "hand.dcm")], bundle, language="ko") / "hand.html"
    assert all(link.startswith("data:") for link in Text(path).links)
    assert "http" not in re.sub(r'http-equiv="|base64,[^"\')]*', "", path.read_text(encoding="utf-8"))


@pytest.mark.skipif(not CHROMIUM.is_file(), reason="needs Chromium (apt install chromium)")
@pytest.mark.parametrize("width", [360, 1000])
def test_a_browser_shows_it_and_axe_finds_nothing_serious(tmp_path: Path, bundle: Bundle, width: int) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="needs axe-core-python")
    study(tmp_path / "hand.dcm")
    path = reported(tmp_path, [outcome(tmp_path / "hand.dcm")], bundle, language="zh") / "hand.html"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": width, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "wider than the screen"
        assert page.evaluate("document.fonts.check('16px report')")
        found = axe.Axe().run(page)["violations"]
        browser.close()
    assert [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")] == []


def test_who_the_patient_is_shows_only_when_asked_for(tmp_path: Path, bundle: Bundle) -> None:
    study(tmp_path / "hand.dcm")
    one = outcome(tmp_path / "hand.dcm")
    page = (reported(tmp_path, [one], bundle) / "hand.html").read_text(encoding="utf-8")
    assert not any(word in page for word in ("Test Child", "Test^Child", "C1<", "2010-01-01"))
    folder = reported(tmp_path, [one], bundle, with_identity=True)
    page = Text(folder / "hand.html").text
    assert all(word in page for word in ("Test Child", "C1", "2010-01-01"))
    assert "Test Child" in pdf_text(folder / "hand.pdf")


def test_markup_in_names_is_text(tmp_path: Path, bundle: Bundle) -> None:
    study(tmp_path / "<b>&.dcm", PatientName="<script>x</script>^김", SpecificCharacterSet="ISO_IR 192")
    folder = reported(tmp_path, [outcome(tmp_path / "<b>&.dcm")], bundle, with_identity=True)
    page = Text(folder / "<b>&.html").text
    assert "<b>&.dcm" in page
    assert "<script>x</script> 김" in page
    assert "<b>&.dcm" in pdf_text(folder / "<b>&.pdf")


def test_studies_of_one_child_are_compared_whatever_their_order(tmp_path: Path, bundle: Bundle) -> None:
    ages = {"b": ("20200101", 150.0), "a": ("20190101", 132.0), "c": ("20210101", 160.0)}
    outcomes = []
    for name, (day, months) in ages.items():
        study(tmp_path / f"{name}.dcm", StudyDate=day)
        outcomes.append(outcome(tmp_path / f"{name}.dcm", months))
    study(tmp_path / "other.dcm", PatientID="C2")
    outcomes.append(outcome(tmp_path / "other.dcm"))
    folder = reported(tmp_path, outcomes, bundle)
    assert "No earlier study." in Text(folder / "a.html").text
    assert "No earlier study." in Text(folder / "other.html").text
    middle, last = Text(folder / "b.html").text, Text(folder / "c.html").text
    assert "Since 2019-01-01: bone age +18.0 months in 12.0 months, that is 1.50 years a year" in middle
    assert "Since 2020-01-01: bone age +10.0 months" in last
    assert "Since 2019-01-01: bone age +28.0 months in 24.0 months" in last
    pages = {name: (folder / f"{name}.html").read_text(encoding="utf-8") for name in ages}
    assert [pages[name].count('class="earlier"') for name in "abc"] == [0, 1, 2]


def test_both_hands_of_one_day_are_one_study(tmp_path: Path, bundle: Bundle) -> None:
    outcomes = []
    for name, side, months in (("l", "L", 150.0), ("r", "R", 154.0)):
        study(tmp_path / f"{name}.dcm", Laterality=side)
        outcomes.append(outcome(tmp_path / f"{name}.dcm", months))
    folder = reported(tmp_path, outcomes, bundle)
    for name, hand in (("l", "left hand"), ("r", "right hand")):
        page = Text(folder / f"{name}.html").text
        assert hand in page
        assert "No earlier study." in page


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"PatientBirthDate": ""}, "is not determined: the chronological age is not known"),
        ({"PatientSex": ""}, "No curve: the sex is not known"),
        ({"PatientSize": None}, "Impression"),
        ({"PatientBirthDate": "20000101"}, "the chronological age is above the table's range"),
    ],
)
def test_what_is_not_known_is_said(tmp_path: Path, bundle: Bundle, attributes: dict[str, Any], words: str) -> None:
    study(tmp_path / "hand.dcm", **attributes)
    folder = reported(tmp_path, [outcome(tmp_path / "hand.dcm", flags=())], bundle)
    page = Text(folder / "hand.html").text
    assert words in page
    assert "None" not in page
    assert "nan" not in page


def test_the_hand_is_shown_between_its_neighbours_in_the_atlas(tmp_path: Path, bundle: Bundle) -> None:
    study(tmp_path / "hand.dcm")
    folder = reported(tmp_path, [outcome(tmp_path / "hand.dcm", months=148.0)], bundle, language="de")
    words = "die ihrem Knochenalter am nächsten sind, 12 J 0 M und 12 J 6 M, Mittel vieler Hände"
    assert words in Text(folder / "hand.html").text
    assert words in pdf_text(folder / "hand.pdf")
    assert "gespiegelt" not in Text(folder / "hand.html").text
    study(tmp_path / "unknown.dcm", PatientSex="")
    folder = reported(tmp_path, [outcome(tmp_path / "unknown.dcm")], bundle)
    assert "atlas" not in Text(folder / "unknown.html").text


def test_an_image_without_a_bone_age_has_no_report(tmp_path: Path, bundle: Bundle) -> None:
    one = Outcome(Item(str(tmp_path / "a.png")), message="a.png: no such file")
    assert not reported(tmp_path, [one], bundle).exists()


def test_an_unknown_language_is_refused(bundle: Bundle) -> None:
    with pytest.raises(InputError, match="language 'fr': there is en, de, zh, ko, es"):
        ReportSink(Path("out"), [], OutputFiles("predict"), bundle, language="fr")


def test_a_missing_package_is_named(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boneage_roi.outputs.extras.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "boneage-roi\[report\]"'):
        ReportSink(tmp_path, [Item("a.dcm")], OutputFiles("predict"), bundle).open()
