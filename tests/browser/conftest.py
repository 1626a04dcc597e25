"""Fixtures for the tests of the page."""

import contextlib
import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from tests.browser.chromium import NoBrowser, chromium, demo, opened, press

MILLISECONDS = 180_000  # the limit of each wait, long enough for a busy machine


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser. Without one the tests are skipped, or fail in CI.

    It ends with each module: while its event loop runs, no test can deploy a program.
    """
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(chromium())
        except NoBrowser as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        yield found


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of one demo for a module's tests. Each test leaves every switch off."""
    with demo() as address:
        yield address


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """The page, open and live. An error or a dialog on it fails the test."""
    wrong: list[str] = []

    def refused(dialog: Dialog) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    with browser.new_context() as context:
        made = context.new_page()
        made.set_default_timeout(MILLISECONDS)
        made.on("pageerror", lambda error: wrong.append(str(error)))
        made.on("console", lambda message: wrong.append(message.text))
        made.on("dialog", refused)
        opened(made, url)
        expect(made.locator("#uploaded small")).not_to_contain_text("on the way")
        press(made, "new_hour")  # else texts of earlier tests count towards the limits
        yield made
    assert wrong == []
