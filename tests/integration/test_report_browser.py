"""The report in a real browser: quiet, self-contained, operable, accessible, printable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

import psymetric as ps

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

SERIOUS = {"serious", "critical"}


def ratings() -> pd.DataFrame:
    """Thirty texts by four judges, with a hostile name among them and some refusals."""
    rng = np.random.default_rng(4)
    names = ["<script>document.title='owned'</script>", *(f"text {k:02d}" for k in range(1, 30))]
    ability = dict(zip(names, rng.normal(0, 1.2, 30), strict=True))
    severity = {"ann": -0.6, "bob": 0.0, "cy": 0.6, "a judge with rather a long name": 0.2}
    rows = pd.MultiIndex.from_product([names, ["warmth", "tact"], severity], names=["text", "criterion", "judge"])
    frame = rows.to_frame(index=False)
    place = frame["text"].map(ability) - frame["judge"].map(severity) + rng.logistic(size=len(frame))
    frame["stars"] = pd.array(np.digitize(place, [-1.5, 0.0, 1.5]) + 1, dtype="Int64")
    frame.loc[rng.random(len(frame)) < 0.05, "stars"] = pd.NA
    return frame


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    table = ps.ResponseTable.from_frame(
        ratings(), response="stars", subject="text", item="criterion", facets=("judge",), categories=(1, 2, 3, 4)
    )
    truth = pd.DataFrame({"facet": "judge", "level": ["ann", "bob", "cy"], "true": [-0.6, 0.0, 0.6]})
    found = ps.report(ps.fit(ps.ManyFacetRasch(), table), table, truth=truth, title="Thirty texts")
    return found.save(tmp_path_factory.mktemp("report") / "report.html")


class Watched:
    """A page with everything it said and asked for."""

    def __init__(
        self, browser: Browser, path: Path, *, width: int, scheme: str = "light", scripts: bool = True
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture
def watched(chromium: Browser, page_path: Path) -> Iterator[Watched]:
    found = Watched(chromium, page_path, width=1440)
    yield found
    found.context.close()


def column(page: Page, table: str, place: int) -> list[str]:
    return page.locator(f"#t-{table} tbody tr").locator(f":nth-child({place})").all_inner_texts()


def test_page_is_silent_and_asks_for_nothing(watched: Watched, page_path: Path) -> None:
    assert watched.said == []
    assert watched.asked == [page_path.as_uri()]
    assert watched.page.title() == "Thirty texts"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_page_fits_its_screen(chromium: Browser, page_path: Path, width: int, scheme: str, tmp_path: Path) -> None:
    found = Watched(chromium, page_path, width=width, scheme=scheme)
    wide = found.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    shown = found.page.evaluate(
        "[...document.querySelectorAll('svg')].filter(s => s.getBoundingClientRect().width > 0).length"
    )
    assert shown > 5
    # Text of figures is never smaller than a reader can read: the narrow drawings are not scaled down.
    scale = found.page.evaluate(
        "Math.min(...[...document.querySelectorAll('figure svg')]"
        ".map(s => [s.getBoundingClientRect().width, s.viewBox.baseVal.width])"
        ".filter(([w]) => w > 0).map(([w, v]) => w / v))"
    )
    assert scale > 0.9
    assert len(found.page.screenshot(full_page=True, path=tmp_path / "page.png")) > 10_000
    found.context.close()


def test_sorting_by_mouse(watched: Watched) -> None:
    before = column(watched.page, "scores", 1)
    button = watched.page.locator("#t-scores thead button", has_text="measure")
    head = watched.page.locator("#t-scores thead th").nth(1)
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    rising = [float(text.replace("−", "-")) for text in column(watched.page, "scores", 2)]
    assert rising == sorted(rising)
    button.click()
    assert head.get_attribute("aria-sort") is None
    assert column(watched.page, "scores", 1) == before


def test_sorting_by_keyboard(watched: Watched) -> None:
    watched.page.locator("#t-scores thead button").first.focus()
    watched.page.keyboard.press("Enter")
    names = column(watched.page, "scores", 1)
    assert names == sorted(names, key=str.casefold)
    watched.page.keyboard.press("Tab")
    watched.page.keyboard.press("Space")
    assert watched.page.locator("#t-scores thead th").nth(1).get_attribute("aria-sort") == "descending"


def test_search_hides_the_rest(watched: Watched) -> None:
    field = watched.page.get_by_role("searchbox", name="Search: Measures of the texts, from high to low")
    field.fill("text 07")
    assert watched.page.locator("#t-scores tbody tr:visible").count() == 1
    field.fill("nothing like this")
    assert watched.page.get_by_role("status").filter(visible=True).inner_text().startswith("No row shown here matches")
    field.fill("")
    assert watched.page.locator("#t-scores tbody tr:visible").count() == 30


def test_table_is_saved_as_csv(watched: Watched, page_path: Path) -> None:
    with watched.page.expect_download() as waiting:
        watched.page.get_by_role("link", name="CSV of Measures of the texts, from high to low").click()
    assert waiting.value.suggested_filename == "scores.csv"
    assert Path(waiting.value.path()).read_bytes() == (page_path.parent / "scores.csv").read_bytes()


def test_tables_work_without_scripts(chromium: Browser, page_path: Path) -> None:
    found = Watched(chromium, page_path, width=1440, scripts=False)
    assert found.page.locator("#t-scores tbody tr").count() == 30
    assert found.page.locator("button").count() == 0
    found.context.close()


def test_print_cuts_nothing(watched: Watched, tmp_path: Path) -> None:
    page = watched.page
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})  # A4 less its margins
    wide = page.evaluate(
        "[...document.querySelectorAll('svg, table')].filter(e => e.getBoundingClientRect().right > 701)"
        ".map(e => e.outerHTML.slice(0, 120))"
    )
    assert wide == []
    assert (
        page.evaluate(
            "Math.max(...[...document.querySelectorAll('figure')].map(f => f.getBoundingClientRect().height))"
        )
        < 1_000
    )
    assert page.pdf(format="A4", path=tmp_path / "page.pdf")[:5] == b"%PDF-"


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core: from PSYMETRIC_AXE, or installed by npm into a folder of this run."""
    given = os.environ.get("PSYMETRIC_AXE")
    if given:
        return Path(given).read_text(encoding="utf-8")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not here, and PSYMETRIC_AXE does not name axe.min.js")
    folder = tmp_path_factory.mktemp("axe")
    done = subprocess.run(
        [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), "axe-core@4"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm cannot install axe-core: {done.stderr.strip()[-200:]}")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (1440, "dark"), (360, "light")])
def test_no_serious_accessibility_violation(
    chromium: Browser, page_path: Path, axe: str, width: int, scheme: str
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(page_path.as_uri())
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    bad = {v["id"]: [n["html"][:160] for n in v["nodes"][:3]] for v in result["violations"] if v["impact"] in SERIOUS}
    assert not bad, json.dumps(bad, indent=1)
    context.close()


@pytest.fixture(scope="module")
def calibration_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Verdicts that are probabilities on two systems of hostile names, a few with labels."""
    rng = np.random.default_rng(6)
    verdict = rng.beta(0.6, 0.5, 400)
    human = np.where(np.arange(400) < 120, rng.random(400) < verdict, np.nan)
    system = np.where(rng.random(400) < 0.5, "<script>document.title='owned'</script>", "plain")
    frame = pd.DataFrame({"judge": verdict, "human": human, "system": system})
    found = ps.calibrated_estimate(frame, system="system")
    page = ps.calibration_report(found, send=frame.tail(30).assign(probability=0.1), title="Put right")
    return page.save(tmp_path_factory.mktemp("calibration"))


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark")])
def test_calibration_page_is_silent_and_fits(
    chromium: Browser, calibration_path: Path, width: int, scheme: str
) -> None:
    found = Watched(chromium, calibration_path, width=width, scheme=scheme)
    assert found.said == []
    assert found.asked == [calibration_path.as_uri()]
    assert found.page.title() == "Put right"
    assert found.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    assert found.page.locator("#errors figure svg:visible").count() == 2
    found.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_calibration_page_has_no_serious_accessibility_violation(
    chromium: Browser, calibration_path: Path, axe: str, scheme: str
) -> None:
    test_no_serious_accessibility_violation(chromium, calibration_path, axe, 1440, scheme)
