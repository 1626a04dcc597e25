"""The pictures in the README: the page after a storm, while Twilio is down, light and dark."""

from playwright.sync_api import expect

from stack import ROOT
from tests.browser.chromium import chromium, demo, opened, press, upload

SIZE = {"width": 1240, "height": 860}
MILLISECONDS = 180_000  # for a storm on a busy machine


def main() -> None:
    """Take them."""
    with demo() as url, chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(MILLISECONDS)
        opened(page, url)
        press(page, "storm")
        press(page, "flush")
        expect(page.locator("#held .count")).to_have_text("0", timeout=MILLISECONDS)
        press(page, "twilio_down")
        upload(page, "checkout.log", "web.log", "worker.log")
        expect(page.locator("#held .count")).to_have_text("3", timeout=MILLISECONDS)
        for scheme in ("light", "dark"):
            with browser.new_context(
                color_scheme="dark" if scheme == "dark" else "light",
                viewport={"width": SIZE["width"], "height": SIZE["height"]},
            ) as context:
                picture = opened(context.new_page(), url)
                picture.screenshot(path=ROOT / "docs" / f"phone-{scheme}.png", full_page=True)
        press(page, "twilio_down")


if __name__ == "__main__":
    main()
