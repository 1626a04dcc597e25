"""Take the pictures in the README: the page after a storm, while Twilio is down, light and dark."""

from playwright.sync_api import expect

from tests.browser.chromium import chromium, demo, opened, press, upload
from tests.browser.pictures import PICTURES, RECORD, hash_of_page

SIZE = {"width": 1240, "height": 860}
MILLISECONDS = 180_000  # for a storm on a busy machine


def main() -> None:
    """Take the pictures."""
    with demo() as url, chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(MILLISECONDS)
        opened(page, url)
        press(page, "storm")
        expect(page.locator("#uploaded small")).not_to_contain_text(
            "on the way", timeout=MILLISECONDS
        )
        press(page, "flush")
        expect(page.locator("#waiting .count")).to_have_text("0", timeout=MILLISECONDS)
        press(page, "new_hour")
        press(page, "twilio_down")
        upload(page, "checkout.log", "web.log", "worker.log")
        expect(page.locator("#waiting .count")).to_have_text("3", timeout=MILLISECONDS)
        for picture in PICTURES:
            expect(page.locator("#why")).to_contain_text("Next try in", timeout=MILLISECONDS)
            with browser.new_context(
                color_scheme="dark" if "dark" in picture.name else "light",
                viewport={"width": SIZE["width"], "height": SIZE["height"]},
            ) as context:
                opened(context.new_page(), url).screenshot(path=picture, full_page=True)
    RECORD.write_text(f"{hash_of_page()}\n")


if __name__ == "__main__":
    main()
