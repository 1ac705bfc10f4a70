"""The report in a real browser: nothing leaves the file, nothing complains, and what it offers works."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.drawn import read
from support.incidents import LOST, NO_LOCKS, UNTOLD, WELL, crowd

from nlmdissect.report.html import render

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromium-driver of Debian are not installed"),
    # of selenium's own making
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER, env={**os.environ, "SE_OFFLINE": "true"}))
    driver.get("about:blank")
    yield driver
    driver.quit()


def show(browser: Any, folder: Path, story: str, width: int = 1280, dark: bool = False, **names: bytes) -> Path:
    """Open the report of a story."""
    path = folder / "report.html"
    path.write_text(render(read(folder, story, **names).analysis, "1.2.3"))
    browser.get_log("performance")
    browser.get_log("browser")
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(path.as_uri())
    return path


def requested(browser: Any, page: Path) -> set[str]:
    """Every address that the page asked for: the browser's own pages ask for some too."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [message["params"] for message in messages if message["method"] == "Network.requestWillBeSent"]
    return {params["request"]["url"] for params in asked if params["documentURL"] == page.as_uri()}


def visible(browser: Any, what: str) -> int:
    return int(browser.execute_script(
        "return Array.from(document.querySelectorAll(arguments[0])).filter(e => e.checkVisibility()).length", what
    ))  # fmt: skip


def search(browser: Any, words: str) -> str:
    box = browser.find_element("id", "search")
    box.clear()
    box.send_keys(words or " ")
    return str(browser.find_element("id", "hits").text)


@pytest.mark.parametrize("story", [LOST, UNTOLD, WELL, NO_LOCKS, ""])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_leaves_the_file_and_nothing_complains(browser: Any, tmp_path: Path, story: str, dark: bool) -> None:
    path = show(browser, tmp_path, story, dark=dark)
    assert path.as_uri() in (asked := requested(browser, path))
    assert asked <= {path.as_uri(), "data:,"}
    assert browser.get_log("browser") == []


def test_what_packets_say_is_shown_and_not_run(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, LOST, client1=b"<script>x=1</")
    assert browser.execute_script("return typeof x") == "undefined"
    assert "<script>x=1</" in browser.find_element("tag name", "body").text
    assert len(browser.find_elements("tag name", "script")) == 2
    assert browser.get_log("browser") == []


def test_search_finds_and_hides(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, UNTOLD)
    before = visible(browser, ".card")
    assert before == 2
    assert search(browser, "no such thing") == "0 places"
    assert visible(browser, ".card") == 0
    assert search(browser, "NLM004 client2").endswith("places")
    assert visible(browser, ".card") == 2  # with the cause that it stands under
    search(browser, "")
    assert visible(browser, ".card") == before


def test_search_opens_what_it_finds(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, LOST)
    assert visible(browser, "#coverage td") == 0
    search(browser, "unregistered-statd")
    assert visible(browser, "#coverage td") > 0


def test_sections_and_evidence_fold(browser: Any, tmp_path: Path) -> None:
    show(browser, tmp_path, LOST)
    assert visible(browser, ".message") == 0
    browser.find_element("css selector", ".frame summary").click()
    assert visible(browser, ".message") == 1
    assert "STALE_FH" in browser.find_element("css selector", ".frame").text
    button = browser.find_element("id", "fold")
    button.click()
    assert visible(browser, ".card, td, .legend") == 0
    button.click()
    assert visible(browser, ".card, td, .legend") > 0


def test_the_mouse_tells_frames(browser: Any, tmp_path: Path) -> None:
    from selenium.webdriver import ActionChains

    show(browser, tmp_path, LOST)
    bar = browser.find_element("css selector", ".chart.wide .bar.t-lost")
    ActionChains(browser).move_to_element(bar).perform()
    assert "lost: the client believes to hold it (frame 2 at 22:13:21.000000)" in browser.find_element("id", "tip").text


@pytest.mark.parametrize("dark", [False, True])
def test_dark_and_light(browser: Any, tmp_path: Path, dark: bool) -> None:
    show(browser, tmp_path, WELL, dark=dark)
    ground = "return getComputedStyle(document.body).backgroundColor"
    grounds = {"rgb(255, 255, 255)": False, "rgb(20, 23, 27)": True}
    assert grounds[browser.execute_script(ground)] is dark
    browser.find_element("id", "theme").click()
    assert grounds[browser.execute_script(ground)] is not dark


@pytest.mark.parametrize("width", [360, 390, 700, 900, 1280, 1920])
@pytest.mark.parametrize("story", [UNTOLD, crowd(60, 5)], ids=["three hosts", "sixty"])
def test_nothing_needs_scrolling_sideways(browser: Any, tmp_path: Path, width: int, story: str) -> None:
    show(browser, tmp_path, story, width=width)
    browser.execute_script("document.querySelectorAll('details').forEach(e => { e.open = true })")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert visible(browser, ".chart") == 1


def test_labels_of_the_timeline_do_not_overlap_as_drawn(browser: Any, tmp_path: Path) -> None:
    for width in (390, 800, 1280):
        show(browser, tmp_path, crowd(40, 5), width=width)
        overlaps = browser.execute_script("""
            const all = Array.from(document.querySelectorAll(".label")).filter(e => e.checkVisibility());
            const boxes = all.map(e => [e.getBoundingClientRect(), e.textContent]);
            const found = [];
            boxes.forEach(([a, s], n) => boxes.slice(n + 1).forEach(([b, t]) => {
              const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
              const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
              if (wide > 1 && high > 3) found.push(s + " / " + t);
            }));
            return found;
        """)
        assert overlaps == []


def test_without_scripts_it_can_still_be_read(browser: Any, tmp_path: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, tmp_path, LOST)
        assert "NLM001 refused-reclaim" in browser.find_element("tag name", "body").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
