"""The page of an audit in a real browser: a cell opens its finding, and nothing complains."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.audits import audited
from support.incidents import LOST, STOLEN, WELL, write

from nlmdissect.audit.html import render

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-dev-shm-usage")

pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="chromium and chromium-driver of Debian are not installed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # of selenium's own making
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER, env={**os.environ, "SE_OFFLINE": "true"}))
    yield driver
    driver.quit()


def test_a_cell_opens_its_finding(browser: Any, tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    folder.mkdir()
    write(folder / "lost.pcap", LOST, client1=b"<img src=x>")
    write(folder / "stolen.pcap", STOLEN)
    write(folder / "well.pcap", WELL)
    path = tmp_path / "audit.html"
    path.write_text(render(audited(folder, tmp_path / "set").summary, None, "1.2.3"))
    browser.get(path.as_uri())
    title = browser.find_element("css selector", "details.card details.card .title")
    assert not title.is_displayed()
    link = browser.find_element("css selector", "td.found a")
    browser.execute_script("arguments[0].click()", link)
    browser.execute_script("return new Promise(done => setTimeout(done, 100))")
    assert title.is_displayed()
    assert "<img src=x>" in title.text
    means = browser.find_element("css selector", "details.card details.card dd")
    assert means.is_displayed()
    box = browser.find_element("id", "search")
    box.send_keys("lost.pcap")
    shown = [row for row in browser.find_elements("css selector", "table.cells tbody tr") if row.is_displayed()]
    assert len(shown) == 1
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    wide = browser.execute_script("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    assert browser.get_log("browser") == []
