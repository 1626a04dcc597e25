"""The pictures in the README: the page after a storm, while Twilio is down, light and dark."""

from playwright.sync_api import expect

from stack import ROOT
from tests.browser.chromium import chromium, demo, opened, press, upload

SIZE = {"width": 1240, "height": 860}


def main() -> None:
    """Take them."""
    with demo() as url, chromium() as browser:
        page = opened(browser.new_page(), url)
        press(page, "storm")
        press(page, "flush")
        expect(page.locator("#held .count")).to_have_text("0")
        press(page, "outage")
        upload(page, "checkout.log", "web.log", "worker.log")
        expect(page.locator("#held .count")).to_have_text("3")
        for scheme in ("light", "dark"):
            with browser.new_context(
                color_scheme="dark" if scheme == "dark" else "light",
                viewport={"width": SIZE["width"], "height": SIZE["height"]},
            ) as context:
                picture = opened(context.new_page(), url)
                picture.screenshot(path=ROOT / "docs" / f"phone-{scheme}.png", full_page=True)
        press(page, "outage")


if __name__ == "__main__":
    main()
