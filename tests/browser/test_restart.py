"""The page while its demo restarts. This module has no other demo on the port."""

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.chromium import demo, opened, press
from tests.browser.conftest import MILLISECONDS

expect.set_options(timeout=MILLISECONDS)


def test_a_stopped_demo_is_grey_and_a_restarted_one_comes_back_by_itself(
    browser: Browser,
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        with demo() as first:
            opened(page, first)
            press(page, "error_log")
            expect(page.locator(".texts p", has_text="app/error-1.log")).to_have_count(1)
            texts = page.locator(".texts p").all_text_contents()
        expect(page.locator("body")).to_have_attribute("data-state", "stopped")
        expect(page.locator("#stopped")).to_be_visible()
        assert page.locator(".texts p").all_text_contents() == texts
        for control in page.locator("button, input").all():
            expect(control).to_be_disabled()
        with demo() as second:
            if second != first:
                pytest.skip("Another program took the page's port meanwhile.")
            expect(page.locator("body")).to_have_attribute("data-state", "live")
            expect(page.locator(".texts p", has_text="app/error-1.log")).to_have_count(0)
