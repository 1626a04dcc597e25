"""The phone in a real browser: what people see, and what they can do."""

import re

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from local.page.server import MAX_FILE_BYTES, OPTED_OUT_NUMBER, STORM_FILES
from local.storm import files_in
from local.twilio import ACCOUNT_SID, SECRET
from tests.browser.chromium import opened, press, upload
from tests.browser.conftest import MILLISECONDS

HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;\u202egol.log"

expect.set_options(timeout=MILLISECONDS)


def count(page: Page, station: str) -> int:
    return int(page.locator(f"#{station} .count").inner_text().replace(",", ""))


def counts(page: Page, station: str, number: int) -> None:
    """Wait until a station counts so many."""
    expect(page.locator(f"#{station} .count")).to_have_text(f"{number:,}")


def bodies(page: Page) -> list[str]:
    return page.locator(".texts p").all_inner_texts()


def test_a_chosen_file_becomes_a_text_on_the_phone(page: Page) -> None:
    upload(page, "chosen.log")
    text = page.locator(".texts li", has_text="New log chosen.log")
    expect(text).to_have_count(1)
    about = r"\d\d:\d\d:\d\d · 1 segment · \$0\.0083"
    expect(text.locator("small")).to_have_text(re.compile(about))


def test_dropped_files_become_texts_on_the_phone(page: Page) -> None:
    files = page.evaluate_handle(
        """() => {
            const transfer = new DataTransfer();
            for (const name of ["dropped 1.log", "dropped 2.log"])
                transfer.items.add(new File(["ERROR: one"], name));
            return transfer;
        }"""
    )
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": files})
    for name in ("dropped 1.log", "dropped 2.log"):
        expect(page.locator(".texts p", has_text=name)).to_have_count(1)


def test_a_file_that_is_no_log_is_reported(page: Page) -> None:
    upload(page, "picture.png")
    expect(page.locator("#message")).to_contain_text("does not end with .log")


def test_a_hostile_file_name_is_shown_as_text(page: Page) -> None:
    upload(page, HOSTILE)
    expect(page.locator(".texts p", has_text="onerror=alert(1)")).to_have_count(1)
    assert page.locator("img").count() == 0


def test_a_buttons_message_names_the_other_reason_that_texts_stay_held(page: Page) -> None:
    message = page.locator("#message")
    press(page, "quiet_hours")
    press(page, "twilio_down")
    press(page, "twilio_down")
    expect(message).to_have_text("Twilio is back. Quiet hours go on: held texts stay held.")
    press(page, "twilio_down")
    press(page, "quiet_hours")
    expect(message).to_contain_text("Twilio is still down: held texts stay held.")
    press(page, "twilio_down")


def test_a_storm_ends_with_the_right_counts(page: Page) -> None:
    landed, texted = count(page, "bucket"), sum(map(files_in, bodies(page)))
    press(page, "storm")
    counts(page, "bucket", landed + STORM_FILES)
    expect(page.locator("#message")).to_contain_text(f"{STORM_FILES} files")
    press(page, "flush")
    counts(page, "held", 0)
    expect(page.locator(".texts p", has_text="more logs since")).not_to_have_count(0)
    assert sum(map(files_in, bodies(page))) == texted + STORM_FILES
    for station in ("twilio", "phone"):  # the one from the logs, the other from the stand-in
        counts(page, station, len(bodies(page)))


def test_an_outage_holds_and_ends_with_one_summary(page: Page) -> None:
    texts, summaries = len(bodies(page)), count(page, "flush")
    press(page, "twilio_down")
    upload(page, "out 1.log", "out 2.log", "out 3.log")
    counts(page, "held", 3)
    assert len(bodies(page)) == texts
    press(page, "twilio_down")
    press(page, "flush")
    expect(page.locator(".texts p")).to_have_count(texts + 1)
    assert bodies(page)[-1].startswith("3 more logs since")
    counts(page, "flush", summaries + 1)
    counts(page, "held", 0)


def test_a_flush_after_an_outage_sends_the_texts_that_earlier_flushes_held(page: Page) -> None:
    """It says each time what was texted, what is held still, and why."""
    texts = len(bodies(page))
    message = page.locator("#message")
    press(page, "twilio_down")
    upload(page, "vain.log")
    counts(page, "held", 1)
    for _ in range(2):
        press(page, "flush")
        expect(message).to_contain_text("Nothing was texted. Still held: 1. Why: busy (")
    press(page, "twilio_down")
    expect(message).to_have_text("Twilio is back. The next flush sends the held texts.")
    press(page, "flush")
    expect(page.locator(".texts p")).to_have_count(texts + 1)
    expect(message).to_have_text("Texted: 1 file in 1 text. Nothing is held now.")


def test_a_switch_loses_twilios_answers(page: Page) -> None:
    button, message = page.locator("[data-action=lost_answers]"), page.locator("#message")
    press(page, "lost_answers")
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(message).to_contain_text("its answers are lost")
    press(page, "lost_answers")
    expect(button).to_have_attribute("aria-pressed", "false")
    expect(message).to_have_text("Twilio's answers arrive again.")


def test_a_file_name_that_s3_rejects_is_refused(url: str) -> None:
    answer = requests.post(f"{url}/files", params={"name": 1025 * "x"}, data=b"x", timeout=60)
    assert (answer.status_code, answer.reason) == (400, "Bad Request")
    assert "The key has 1,025 bytes" in answer.text


def test_quiet_hours_hold_texts_until_they_end(page: Page) -> None:
    texts = len(bodies(page))
    press(page, "quiet_hours")
    upload(page, "quiet.log")
    counts(page, "held", 1)
    press(page, "quiet_hours")
    press(page, "flush")
    expect(page.locator(".texts p")).to_have_count(texts + 1)
    assert "quiet.log" in bodies(page)[-1]


def test_a_bad_number_has_a_tab_without_texts_and_stops_no_other(page: Page) -> None:
    failed = count(page, "failed")
    press(page, "opted_out")
    tab = page.get_by_role("tab", name=OPTED_OUT_NUMBER)
    upload(page, "bad.log")
    counts(page, "failed", failed + 1)
    press(page, "flush")  # the hour's limit may be reached
    expect(page.locator(".texts p", has_text="bad.log")).to_have_count(1)
    tab.click()
    expect(page.locator(".empty")).to_be_visible()
    assert bodies(page) == []
    page.get_by_role("tab").first.click()
    press(page, "opted_out")
    expect(tab).to_have_count(0)


def test_a_page_opened_later_shows_the_earlier_texts(page: Page) -> None:
    before = bodies(page)
    assert before
    page.reload()
    page.locator("body[data-live]").wait_for()
    assert bodies(page) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_axe_finds_no_violation_and_nothing_is_cut_off(
    browser: Browser, url: str, scheme: str, width: int
) -> None:
    with browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 800},
    ) as context:
        page = opened(context.new_page(), url)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.action ?? ''"))
        if reached[-1] == "twilio_down":
            break
    button = page.locator("[data-action=twilio_down]")
    for pressed in ("true", "false"):
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-pressed", pressed)
        expect(button).to_have_attribute("aria-busy", "false")


def test_the_page_animates_nothing_when_the_reader_prefers_reduced_motion(
    browser: Browser, url: str
) -> None:
    for motion, dots in (("reduce", False), ("no-preference", True)):
        with browser.new_context(
            reduced_motion="reduce" if motion == "reduce" else "no-preference"
        ) as context:
            page = opened(context.new_page(), url)
            page.evaluate(
                """() => {
                    window.seen = 0;
                    new MutationObserver((some) => { window.seen += some.length; })
                        .observe(document.querySelector(".dots"), {childList: true});
                }"""
            )
            before = count(page, "bucket")
            upload(page, f"{motion}.log")
            counts(page, "bucket", before + 1)
            assert (page.evaluate("window.seen") > 0) == dots


# Over plain HTTP


def test_no_other_page_may_press_a_button(url: str) -> None:
    for path in ("/twilio_down", "/storm", "/files?name=a.log"):
        for origin in ("https://example.com", "null", url.replace("http", "https")):
            answer = requests.post(url + path, headers={"Origin": origin}, timeout=60)
            assert answer.status_code == 403
    assert requests.get(f"{url}/twilio_down", timeout=60).status_code == 405


def test_the_page_refuses_other_host_names(url: str) -> None:
    """A page elsewhere may let its own name lead to 127.0.0.1."""
    answer = requests.get(url, headers={"Host": "example.com"}, timeout=60)
    assert answer.status_code == 403


def test_the_page_may_load_and_reach_nothing_but_itself(url: str) -> None:
    policy = requests.get(url, timeout=60).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for path in ("/", "/page.css", "/page.js"):
        assert not re.search(
            r"https?://(?!www\.w3\.org/2000/svg)", requests.get(url + path, timeout=60).text
        )


def test_the_events_of_the_page_hold_no_secret(url: str) -> None:
    with requests.get(f"{url}/events", stream=True, timeout=60) as answer:
        first = next(answer.iter_lines()).decode()
    assert '"kind": "state"' in first
    for hidden in (SECRET, ACCOUNT_SID):
        assert hidden not in first


def test_a_file_that_is_too_large_is_refused(url: str) -> None:
    answer = requests.post(f"{url}/files?name=a.log", data=b"x" * (MAX_FILE_BYTES + 1), timeout=60)
    assert (answer.status_code, answer.text) == (413, "a.log is larger than 10 MB.\n")
    assert requests.post(f"{url}/files", data=b"x", timeout=60).status_code == 400
