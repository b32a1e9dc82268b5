"""The page in a real browser: Chromium, driven by Playwright, on moving results."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
CHROMIUM = os.environ.get("LVS_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt install chromium"),
    pytest.mark.timeout(300),  # a starved machine draws slowly; nothing here is timed
]

DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
# Heat is drawn on the canvas: how red its middle row's hottest pixel is, against blue.
REDNESS = """() => {
  const picture = document.getElementById('picture');
  const copy = new OffscreenCanvas(picture.width, picture.height).getContext('2d', {willReadFrequently: true});
  copy.drawImage(picture, 0, 0);
  const data = copy.getImageData(0, 0, picture.width, picture.height).data;
  let best = -255;
  for (let i = 0; i < data.length; i += 16) best = Math.max(best, data[i] - data[i + 2]);
  return best;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-quic", "--disable-background-networking"],
        )
        yield chromium
        chromium.close()


class Page:
    """One open page, with everything it complained about."""

    def __init__(self, browser: sync_api.Browser, url: str, **options: object) -> None:
        self.context = browser.new_context(**options)  # type: ignore[arg-type]
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", lambda request: self.complaints.append(f"failed: {request.url}"))
        self.page.goto(url)

    def text(self, name: str) -> str:
        return self.page.inner_text(f"#{name}")

    def wait(self, condition: str) -> None:
        """Until the expression is true. (`wait_for_function` polls with `eval`, which the page's policy forbids.)"""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if self.page.evaluate(condition):
                return
            self.page.wait_for_timeout(30)
        raise AssertionError(f"it did not come about: {condition}; complaints: {self.complaints}")

    def wait_for_frame(self, after: int = 0) -> int:
        self.wait(f"Number(document.getElementById('frame').textContent) > {after}")
        return int(self.text("frame"))


@pytest.fixture
def open_page(browser) -> Iterator[object]:
    pages: list[Page] = []

    def open_one(url: str, **options: object) -> Page:
        pages.append(Page(browser, url, **options))
        return pages[-1]

    yield open_one
    for one in pages:
        one.context.close()


def test_counters_advance_and_nothing_is_complained_about(feed, open_page, tmp_path: Path) -> None:
    feeder = feed()
    page = open_page(feeder.url, **DESKTOP)
    first = page.wait_for_frame()
    assert page.wait_for_frame(first + 10) > first
    assert page.text("source") == "drawn.mp4"
    assert page.text("engine") == "CPU \u00b7 int8"
    page.wait("document.getElementById('link').textContent === 'live'")
    assert (page.text("age"), page.text("skew")) == ("18", "\u22126")
    assert float(page.text("fps")) > 0
    assert int(page.text("drops")) >= 1
    page.wait("document.getElementById('viewers').textContent === '1'")
    page.wait("Number(document.getElementById('screen').textContent) > 0")
    page.wait("document.getElementById('caption').textContent === 'heard, in view'")
    assert page.page.evaluate(REDNESS) > 60
    page.wait("document.getElementById('caption').textContent === 'silent'")
    page.wait(f"({REDNESS})() < 40")  # the heat has faded
    shot = tmp_path / "desktop.png"
    page.page.screenshot(path=shot)
    assert shot.stat().st_size > 10_000
    assert page.complaints == []


def test_everything_by_keyboard(feed, open_page) -> None:
    page = open_page(feed().url, **DESKTOP)
    page.wait_for_frame(2)
    keys = page.page.keyboard
    keys.press("Space")
    paused_at = page.text("frame")
    assert page.page.get_attribute("#pause", "aria-pressed") == "true"
    page.page.wait_for_timeout(500)
    assert page.text("frame") == paused_at
    assert page.page.is_visible("#paused")
    keys.press("Space")
    page.wait_for_frame(int(paused_at) + 5)
    keys.press("h")
    assert page.page.get_attribute("#heat", "aria-pressed") == "false"
    keys.press("b")
    assert page.page.get_attribute("#boxes", "aria-pressed") == "false"
    keys.press("-")
    assert page.text("opacity-value") == "95 %"
    with page.page.expect_download() as download:
        keys.press("s")
    assert download.value.suggested_filename.startswith("lvs_")
    picture = Path(download.value.path()).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert (int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")) == (320, 240)
    keys.press("Tab")
    focused = page.page.evaluate("document.activeElement.id")
    assert focused == "pause"
    keys.press("Space")  # the focused button's own Space: pressed once, not twice
    assert page.page.get_attribute("#pause", "aria-pressed") == "true"
    assert page.complaints == []


def test_a_stalled_source_is_never_shown_as_live(feed, open_page) -> None:
    feeder = feed()
    page = open_page(feeder.url, **DESKTOP)
    page.wait_for_frame(2)
    feeder.pause.set()
    page.wait(
        "document.body.dataset.link === 'stalled' &&"
        " document.getElementById('notice').textContent.startsWith('No new picture for')"
    )
    feeder.pause.clear()
    page.wait("document.body.dataset.link === 'live' && document.getElementById('notice').hidden")
    feeder.sink.server.stop()
    page.wait("document.body.dataset.link === 'ended'")
    assert page.text("notice") == "The session has ended."
    assert page.complaints == []


@pytest.mark.parametrize("width", [320, 390, 768])
def test_a_phone_scrolls_in_one_direction_only(width: int, feed, open_page) -> None:
    options = {**PHONE, "viewport": {"width": width, "height": 844}}
    page = open_page(feed().url, **options)
    page.wait_for_frame(2)
    assert page.page.evaluate("document.documentElement.scrollWidth") <= width
    small = page.page.evaluate(
        "[...document.querySelectorAll('button')].filter(b => b.getBoundingClientRect().height < 44).length"
    )
    assert small == 0
    cut = page.page.evaluate(
        "[...document.querySelectorAll('button, dd, dt, strong')].filter(e => e.scrollWidth > e.clientWidth + 1"
        " && getComputedStyle(e).display !== 'inline').map(e => e.id || e.textContent)"
    )
    assert cut == []
    assert page.complaints == []


def test_several_viewers_and_a_token(feed, open_page) -> None:
    feeder = feed(host="127.0.0.1", token="0123456789abcdef")
    pages = [open_page(feeder.url, **options) for options in (DESKTOP, PHONE)]
    for page in pages:
        page.wait_for_frame(2)
        assert "token" not in page.page.url
        page.wait("document.getElementById('viewers').textContent === '2'")
        assert page.complaints == []
