"""A real browser and a running demo."""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from stack import ROOT

# Most of these keep Chromium from sending requests of its own.
SILENT = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
]


class NoBrowser(Exception):
    """No browser is installed. The message says how to install one."""


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a browser: this machine's own, or the one that Playwright has installed.

    Raises:
        NoBrowser: No browser is installed.
    """
    names = ("chromium", "chromium-browser", "google-chrome")
    own = next((found for name in names if (found := shutil.which(name))), None)
    with sync_playwright() as playwright:
        executable = own or playwright.chromium.executable_path
        if not Path(executable).exists():
            raise NoBrowser(
                "There is no browser: apt install chromium, or "
                ".venv/bin/playwright install chromium"
            )
        browser = playwright.chromium.launch(executable_path=executable, args=SILENT)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def demo(*arguments: str) -> Iterator[str]:
    """Run the demo. Yield the address of its page after the first text."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "--no-browser", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout
    try:
        output, url = [], ""
        for line in process.stdout:
            output.append(line)
            if line.startswith("The phone: "):
                url = line.split()[-1]
            if "Ctrl-C" in line:
                break
        assert url, "".join(output)
        yield url
    finally:
        process.terminate()
        process.communicate()


def opened(page: Page, url: str) -> Page:
    """Open the page of the demo, and wait until it is live."""
    page.goto(url)
    page.locator("body[data-state=live]").wait_for()
    return page


def upload(page: Page, *names: str) -> None:
    """Choose files of these names on the page."""
    files: list[FilePayload] = [
        {"name": name, "mimeType": "text/plain", "buffer": b"ERROR: one\n"} for name in names
    ]
    page.locator("#files").set_input_files(files)


def press(page: Page, action: str) -> None:
    """Press a button, and wait until its action is done."""
    page.locator(f"[data-action={action}]").click()
    page.locator(f"[data-action={action}][aria-busy=false]").wait_for()
