"""The page, used as a person does: in a browser, with an example."""

import base64
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from boneage_roi.values import years_and_months
from tests.bundles import EXAMPLES
from tests.golden import FILE as GOLDEN
from tests.service.conftest import Running

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright's Python package")

GIRL: dict[str, float] = json.loads(GOLDEN.read_text(encoding="utf-8"))["with test-time augmentation"]["girl-10y"]
GIRL_SAYS = years_and_months(GIRL["bone_age"])

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
WAIT = 120_000

pytestmark = pytest.mark.skipif(not CHROMIUM.is_file(), reason="needs Chromium (apt install chromium)")

Page = Any


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, running: Running) -> Iterator[Page]:
    """The page, opened; ends with no script error and no request to another place."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB", accept_downloads=True)
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console", lambda said: errors.append(said.text) if said.type == "error" and "422" not in said.text else None
    )
    page.set_default_timeout(WAIT)
    page.goto(running.url)
    page.wait_for_selector("html[data-ready]")
    yield page
    context.close()
    assert [error for error in errors if "status of 422" not in error] == []
    assert [url for url in asked if not url.startswith((running.url, "data:", "blob:"))] == []


def drop(page: Page, *paths: Path) -> None:
    """Drop files on the page, as from a folder."""
    transfer = page.evaluate_handle(
        """files => {
            const transfer = new DataTransfer();
            for (const [name, bytes] of files) {
                const data = Uint8Array.from(atob(bytes), c => c.charCodeAt(0));
                transfer.items.add(new File([data], name));
            }
            return transfer;
        }""",
        [[path.name, encoded(path)] for path in paths],
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})


def encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def read_girl(page: Page) -> None:
    page.check("input[name=sex][value=F]")
    page.fill("#age", "10y4m")
    drop(page, EXAMPLES / "girl-10y.png")
    page.wait_for_selector("#numbers .age")


def test_a_person_reads_a_hand(page: Page, tmp_path: Path) -> None:
    read_girl(page)
    numbers = page.inner_text("#numbers")
    assert GIRL_SAYS in numbers
    assert "10 y 4 m" in numbers
    assert f"{GIRL['bone_age'] - 124:.1f} months" in numbers
    assert re.search(r"Standard deviation score\s+-0\.\d\d", numbers)
    assert "normal" in numbers
    assert page.locator("#band svg circle.child").count() == 1

    assert page.locator("#overlay .hand").count() >= 1
    page.uncheck("#layers input[value=hand]")
    assert page.locator("#overlay .hand").count() == 0

    page.click("[data-region=carpal]")
    page.wait_for_selector("#region .crop")
    assert years_and_months(GIRL["carpal"]) in page.inner_text("#region")

    with page.expect_download() as saved:
        page.click("#csv")
    rows = Path(saved.value.path()).read_text(encoding="utf-8-sig").splitlines()
    assert rows[0].startswith("name,status,bone_age_months")
    assert rows[1].startswith(f"girl-10y.png,ok,{GIRL['bone_age']}")

    with page.expect_download() as saved:
        page.click("[data-download=pdf]")
    assert saved.value.suggested_filename == "girl-10y-bone-age.pdf"
    assert Path(saved.value.path()).read_bytes().startswith(b"%PDF-")

    page.select_option("#language", "de")
    page.wait_for_selector("html[lang=de]")
    assert GIRL_SAYS.replace("y", "J").replace("m", "M") in page.inner_text("#numbers")
    assert "Knochenalter" in page.inner_text("#result")


def test_a_plate_shows_its_own_crop_age_and_distribution(page: Page) -> None:
    read_girl(page)
    assert page.locator("#overlay .plate").count() == 0
    page.check("#layers input[value=plates]")
    assert page.locator("#overlay .plate").count() == 22
    shown = {}
    for name in ("MCP3", "PIP3", "IP1"):
        page.locator(f"#overlay .plate[aria-label^={name}]").focus()
        page.keyboard.press("Enter")
        page.wait_for_function("name => document.querySelector('#region h3').innerText == name", arg=name)
        assert page.locator("#region svg.chart").count() == 1
        shown[name] = (page.get_attribute("#region .crop", "src"), page.inner_text("#region p"))
    assert len(set(shown.values())) == 3
    for _, said in shown.values():
        months, spread = re.search(r"\((\d+\.\d) months\), standard deviation (\d+\.\d)", said).groups()  # type: ignore[union-attr]
        assert 84 < float(months) < 160
        assert 5 < float(spread) < 40


def test_a_plate_that_is_too_uncertain_alone_says_so(page: Page) -> None:
    def unsure(route: Any) -> None:
        answer = route.fetch()
        content = answer.json()
        (bone,) = (bone for bone in content["bones"] if bone["name"] == "IP1")
        bone |= {"months": None, "spread": None}
        del bone["distribution"]
        route.fulfill(response=answer, json=content)

    page.route("**/v1/readings", unsure)
    read_girl(page)
    page.click("[data-region=epiphysis]")
    page.click("[data-bone=IP1]")
    assert "too uncertain" in page.inner_text("#region")
    assert page.locator("#region svg.chart").count() == 0


def test_the_hand_lies_between_the_atlas_s_standards_and_the_slider_goes_through_them(page: Page) -> None:
    read_girl(page)
    loaded = "() => [...document.querySelectorAll('#atlas img')].filter(image => image.naturalWidth > 0).length == 3"
    page.wait_for_function(loaded)
    assert page.get_attribute("#atlas-age", "aria-valuetext") == "10 y 0 m and 10 y 6 m"
    before = page.get_attribute("#atlas figure:first-child img", "src")
    page.locator("#atlas-age").focus()
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#atlas-age", "aria-valuetext") == "10 y 6 m and 11 y 0 m"
    page.wait_for_function(
        "before => document.querySelector('#atlas figure:first-child img').src != before", arg=before
    )
    page.keyboard.press("Home")
    assert page.get_attribute("#atlas-age", "aria-valuetext") == "1 y 6 m and 2 y 0 m"
    assert GIRL_SAYS in page.inner_text("#atlas figure:nth-child(2)")


def test_a_box_that_is_dragged_is_read_again(page: Page) -> None:
    read_girl(page)
    before = page.inner_text("tr:has([data-region=carpal])")
    page.check("input[name=tool][value=boxes]")
    names = page.eval_on_selector_all("#overlay .box", "boxes => boxes.map(box => box.getAttribute('aria-label'))")
    index = next(at for at, name in enumerate(names) if "carpal" in name and "meta" not in name)
    page.locator(f'#overlay .box[data-index="{index}"]').focus()
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    page.locator("#overlay .handle").first.wait_for()
    corner = page.locator("#overlay .handle").nth(0).bounding_box()
    page.mouse.move(corner["x"] + 4, corner["y"] + 4)
    page.mouse.down()
    page.mouse.move(corner["x"] - 20, corner["y"] - 16, steps=5)
    page.mouse.up()
    assert page.locator("#correct[open]").count() == 1
    page.click("#again")
    page.wait_for_function(
        "text => document.querySelector('tr:has([data-region=carpal])')?.innerText != text", arg=before
    )
    others = page.inner_text("tr:has([data-region=phalanx])")
    assert years_and_months(GIRL["phalanx"]) in others


def test_every_flag_and_reason_is_in_plain_words_with_what_to_do(page: Page) -> None:
    from boneage_roi.quality.gate import WORDINGS

    said = [reason.format(3, limit=3) for _, reason in WORDINGS.values()]
    said += ["sex unknown: 86 months if female, 109 if male", "carpal not found", "inverted", "no hand found"]
    said += ["chronological age of 10.5 months: is it in years?", "looks 1.25 times too wide: aspect ratio restored"]
    said += [
        "skeletally mature: 187.7 months (15 y 8 m) or more",
        "none of the regions that the bundle reads was found",
    ]
    code = """said => import('/static/flags.js').then(flags => said.map(one => {
        const told = flags.explainFlag(one);
        return [told.what, told.todo];
    }))"""
    for language in ("en", "ko"):
        page.select_option("#language", language)
        page.wait_for_selector(f"html[lang={language}]")
        for text, (what, todo) in zip(said, page.evaluate(code, said), strict=True):
            assert what != text or language == "en", text
            assert todo, text
            assert "flag." not in what + todo, text
        unknown = page.evaluate(code, ["something new"])[0]
        assert unknown[0] == "something new"
        assert unknown[1] not in [todo for _, todo in page.evaluate(code, said)]


def test_many_images_and_one_that_is_none(page: Page) -> None:
    drop(page, EXAMPLES / "README.md", EXAMPLES / "boy-7y.png", EXAMPLES / "boy-12y6m.png")
    page.wait_for_function("() => document.querySelectorAll('#list .value:not(:empty)').length == 2")
    assert page.inner_text("#list li:nth-child(1)").endswith("not read")
    page.click("#list li:nth-child(3) button")
    assert "if female" in page.inner_text("#flags")
    assert "Choose the sex" in page.inner_text("#flags")
    page.click("#clear")
    assert page.locator("#list li").count() == 0
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("#list li").count() == 0


def test_the_sex_is_corrected(page: Page) -> None:
    drop(page, EXAMPLES / "boy-7y.png")
    page.wait_for_selector("#numbers .age")
    page.click("#correct summary")
    page.select_option("#c-sex", "M")
    page.click("#again")
    page.wait_for_function("() => document.querySelector('#flags').innerText == ''")
    assert "male" in page.inner_text("#numbers")


def test_a_lying_image_is_turned_and_a_height_gives_the_adult_height(page: Page, tmp_path: Path) -> None:
    lying = tmp_path / "lying.png"
    with Image.open(EXAMPLES / "girl-10y.png") as upright:
        upright.transpose(Image.Transpose.ROTATE_90).save(lying)  # anticlockwise
    page.check("input[name=sex][value=F]")
    page.fill("#age", "10y4m")
    page.fill("#height", "140")
    drop(page, lying)
    page.wait_for_selector("#list .state:not(:empty)")
    page.wait_for_function("() => !document.querySelector('#list progress')")
    if page.locator("#correct[open]").count() == 0:
        page.click("#correct summary")
    page.select_option("#c-turn", "90")
    page.click("#again")
    page.wait_for_function("text => document.querySelector('#numbers')?.innerText.includes(text)", arg=GIRL_SAYS)
    assert re.search(r"Predicted adult height\s+1[56]\d\.\d cm", page.inner_text("#numbers"))


def test_window_zoom_and_keys(page: Page) -> None:
    read_girl(page)
    before = page.eval_on_selector("#canvas", "canvas => canvas.toDataURL()")
    page.check("input[name=tool][value=window]")
    place = page.locator("#stage").bounding_box()
    page.mouse.move(place["x"] + 200, place["y"] + 200)
    page.mouse.down()
    page.mouse.move(place["x"] + 120, place["y"] + 260, steps=4)
    page.mouse.up()
    page.wait_for_timeout(300)
    assert page.eval_on_selector("#canvas", "canvas => canvas.toDataURL()") != before
    page.locator("#stage").focus()
    shown = page.inner_text("#scale-bar")
    page.keyboard.press("+")
    assert page.inner_text("#scale-bar") != shown
    page.keyboard.press("0")
    assert page.inner_text("#scale-bar") == shown


@pytest.mark.parametrize("width", [360, 1280, 2560])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_the_screen_and_axe_finds_nothing_serious(page: Page, width: int, theme: str, tmp_path: Path) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.select_option("#theme", theme)
    read_girl(page)
    page.click("[data-region=epiphysis]")
    page.click("#correct summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    page.screenshot(path=folder / f"{width}-{theme}.png", full_page=True)
    assert serious(page) == []


def test_the_documentation_of_the_interface_is_served_and_accessible(page: Page, running: Running) -> None:
    page.goto(f"{running.url}/docs")
    page.wait_for_selector("text=POST /v1/readings")
    assert serious(page) == []


def serious(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    from axe_core_python.sync_playwright import Axe

    # The page's own policy keeps other scripts out: axe goes in by the debugger.
    found = Axe().run(page)["violations"]
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def test_every_language_has_every_text() -> None:
    from boneage_roi.service.options import INCLUDED
    from boneage_roi.service.pages import STATIC

    texts = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (STATIC / "i18n").glob("*.json")}
    assert set(texts) == {"en", "de", "zh", "ko", "es"}
    for name, each in texts.items():
        assert each.keys() == texts["en"].keys(), name
        assert all(each.values()), name
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'data-t(?:-label)?="([^"]+)"', page)) <= texts["en"].keys()
    code = (STATIC / "app.js").read_text(encoding="utf-8")
    assert set(re.search(r'INCLUDE = "([^"]+)"', code)[1].split(",")) <= set(INCLUDED)  # type: ignore[index]
