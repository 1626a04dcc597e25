"""The demo's page in a real browser: its contents, its buttons and its switches."""

import contextlib
import json
import re
import time
from typing import Any

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from local.deployment import Deployed
from local.emulator import clients
from local.page.server import MAX_FILE_BYTES, STORM_FILES
from local.storm import files_in
from local.twilio import ACCOUNT_SID, SECRET
from stack.running_demos import newest as newest_demo
from tests.browser.chromium import opened, press, upload
from tests.browser.conftest import MILLISECONDS
from tests.local.conftest import pass_a_minute

HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;\u202egol.log"

expect.set_options(timeout=MILLISECONDS)


def count(page: Page, box: str) -> int:
    return int(page.locator(f"#{box} .count").inner_text().replace(",", ""))


def counts(page: Page, box: str, number: int) -> None:
    """Wait until a box of the diagram shows this number."""
    expect(page.locator(f"#{box} .count")).to_have_text(f"{number:,}")


def bodies(page: Page) -> list[str]:
    """Return all texts, including those of folded bursts."""
    return page.locator(".texts p").all_text_contents()


def newest(page: Page) -> str:
    """Return the newest text of the phone that gets the logs of the tests."""
    return page.locator(".phone").first.locator(".texts p").last.inner_text()


def fate(page: Page, name: str) -> Locator:
    """Find the line about a file in the list of the last files."""
    return page.locator("#last li", has_text=name).first


def snapshots(url: str, seconds: float) -> list[dict[str, Any]]:
    """Collect the server's events for some seconds, but at least one."""
    found = []
    with requests.get(f"{url}/events", stream=True, timeout=60) as answer:
        until = time.monotonic() + seconds
        for line in answer.iter_lines():
            if line:
                found.append(json.loads(line.decode().removeprefix("data: ")))
            if time.monotonic() > until:
                break
    return found


# Files


def test_a_chosen_file_becomes_a_text_on_the_phone(page: Page) -> None:
    upload(page, "chosen.log")
    text = page.locator(".texts li", has_text="New log chosen.log")
    expect(text).to_have_count(1)
    about = r"\d\d:\d\d:\d\d · 1 segment · \$0\.0083"
    expect(text.locator("small").last).to_have_text(re.compile(about))
    expect(fate(page, "chosen.log")).to_have_text(
        re.compile(r"chosen\.log: texted in \d+(\.\d)? s")
    )


DROP = """(names) => {
    const transfer = new DataTransfer();
    for (const name of names) transfer.items.add(new File(["ERROR: one"], name));
    return transfer;
}"""


def test_dropped_files_become_texts_on_the_phone(page: Page) -> None:
    names = ["dropped 1.log", "dropped 2.log"]
    files = page.evaluate_handle(DROP, names)
    page.locator(".drop").dispatch_event("drop", {"dataTransfer": files})
    for name in names:
        expect(page.locator(".texts p", has_text=name)).to_have_count(1)


def test_each_of_several_files_keeps_its_own_fate(page: Page) -> None:
    """An accepted file does not hide that others are refused."""
    files: list[FilePayload] = [
        {"name": "huge.log", "mimeType": "text/plain", "buffer": b"x" * (MAX_FILE_BYTES + 1)},
        {"name": "picture.png", "mimeType": "image/png", "buffer": b"ERROR: one"},
        {"name": "fine.log", "mimeType": "text/plain", "buffer": b"ERROR: one"},
    ]
    page.locator("#files").set_input_files(files)
    expect(fate(page, "fine.log")).to_contain_text("fine.log: texted in")
    expect(fate(page, "huge.log")).to_contain_text("huge.log: not uploaded, over 10 MB")
    expect(fate(page, "picture.png")).to_contain_text("does not end with .log")


def test_a_folder_is_refused_with_what_to_do(page: Page) -> None:
    page.evaluate(
        """() => {
            const entry = { isDirectory: true, name: "logs" };
            const items = [{ kind: "file", webkitGetAsEntry: () => entry }];
            const event = new Event("drop");
            event.dataTransfer = { items };
            document.dispatchEvent(event);
        }"""
    )
    expect(fate(page, "logs/")).to_contain_text(
        "not uploaded, it is a folder: drop the files in it"
    )
    expect(page.locator("body")).to_have_attribute("data-state", "live")


def test_a_file_that_the_browser_cannot_read_is_named_and_stops_nothing(page: Page) -> None:
    page.evaluate(
        """() => {
            const file = new File(["x"], "gone.log");
            file.arrayBuffer = () => Promise.reject(new DOMException("", "NotReadableError"));
            const items = [{ kind: "file", getAsFile: () => file }];
            const event = new Event("drop");
            event.dataTransfer = { items };
            document.dispatchEvent(event);
        }"""
    )
    expect(fate(page, "gone.log")).to_contain_text("not uploaded, this browser cannot read it")
    expect(page.locator("body")).to_have_attribute("data-state", "live")


def test_a_hostile_file_name_is_shown_as_text(page: Page) -> None:
    upload(page, HOSTILE)
    expect(page.locator(".texts p", has_text="onerror=alert(1)")).to_have_count(1)
    assert page.locator("img").count() == 0


def test_of_two_logs_that_buttons_upload_the_one_with_an_error_is_texted(page: Page) -> None:
    uploaded = count(page, "uploaded")
    press(page, "log")
    press(page, "error_log")
    counts(page, "uploaded", uploaded + 1)
    expect(fate(page, "app/error-")).to_contain_text("texted in")
    expect(fate(page, "app/ok-")).to_contain_text("nobody is texted: no line has its route's words")


# Texts, deliveries and expected logs


def test_a_storm_ends_with_a_few_texts_and_a_summary(page: Page, url: str) -> None:
    uploaded, before = count(page, "uploaded"), sum(map(files_in, bodies(page)))
    texts = len(bodies(page))
    storm = page.locator("[data-action=storm]")
    storm.click()
    expect(storm).to_contain_text(re.compile(r"\d+ of 200"))
    seen = snapshots(url, 2)
    page.reload()  # it is busy after a reload as well
    expect(storm).to_have_attribute("aria-busy", "true")
    expect(storm).to_have_attribute("aria-busy", "false")
    counts(page, "uploaded", uploaded + STORM_FILES)
    expect(page.locator("#message")).to_contain_text(f"{STORM_FILES} files")
    press(page, "flush")
    counts(page, "waiting", 0)
    counts(page, "texted", count(page, "uploaded") - count(page, "failed"))
    assert sum(map(files_in, bodies(page))) == before + STORM_FILES
    counts(page, "delivered", len(bodies(page)))
    expect(page.locator(".texts .summary")).not_to_have_count(0)
    seen += snapshots(url, 0)
    assert len(seen) > 2
    for snapshot in seen:
        some = snapshot["counts"]
        parts = sum(some[one] for one in ("uploading", "texted", "waiting", "failed"))
        assert some["uploaded"] == parts
        assert some["delivered"] <= some["texts"]
        assert sum(one["count"] for one in snapshot["reasons"]) == some["waiting"]
    assert len(bodies(page)) - texts < STORM_FILES / 4
    words = rf"\d+ logs → {len(bodies(page))} texts, \$\d+\.\d\d \(one text each: \$\d+\.\d\d\)"
    shown = page.locator("#headline").evaluate(
        "one => [...one.childNodes].filter((part) => part.className !== 'hidden')"
        ".map((part) => part.textContent).join('')"
    )
    assert re.fullmatch(words, shown)


def test_a_burst_is_folded_but_for_its_newest_text(page: Page) -> None:
    upload(page, *(f"burst {number}.log" for number in range(5)))
    expect(page.locator(".texts p", has_text="burst ")).to_have_count(5)
    folded = page.locator(".texts details").last
    expect(folded.locator("summary")).to_contain_text("more texts in")
    expect(folded.locator("p").first).to_be_hidden()
    newest = page.locator(".phone").first.locator(".texts > li").last
    expect(newest.locator("> p")).to_be_in_viewport()
    folded.locator("summary").click()
    expect(folded.locator("p").first).to_be_visible()


def test_each_phone_shows_its_total(page: Page) -> None:
    upload(page, "total.log")
    expect(page.locator(".texts p", has_text="total.log")).to_have_count(1)
    texts = page.locator(".phone").first.locator(".texts p").count()
    total = page.locator(".total").first
    expect(total).to_have_text(re.compile(rf"{texts} texts?, \d+ segments?, \$\d+\.\d+"))


def test_a_log_goes_to_the_phone_of_its_route(page: Page) -> None:
    upload(page, "mine.log")
    phones = page.locator(".phone")
    expect(phones.first.locator("h2")).to_contain_text("on-call")
    expect(phones.first.locator(".texts p", has_text="mine.log")).to_have_count(1)
    assert phones.last.locator(".texts p", has_text="mine.log").count() == 0


def test_waiting_says_why_and_until_when(page: Page) -> None:
    press(page, "twilio_down")
    upload(page, "down.log")
    counts(page, "waiting", 1)
    why = page.locator("#why")
    expect(why).to_have_text(
        re.compile(r"1 waiting: Twilio is down\. Next try (in [01]:\d\d|any moment now)\.")
    )
    expect(fate(page, "down.log")).to_contain_text("down.log: waiting, Twilio is down")
    press(page, "twilio_down")
    expect(why).to_contain_text("Next summary")
    press(page, "flush")
    counts(page, "waiting", 0)
    expect(why).to_have_text("")
    expect(fate(page, "down.log")).to_contain_text("down.log: texted after")


def test_a_page_opened_later_shows_the_earlier_texts(page: Page) -> None:
    upload(page, "earlier.log")
    expect(page.locator(".texts p", has_text="earlier.log")).to_have_count(1)
    before = bodies(page)
    page.reload()
    page.locator("body[data-state=live]").wait_for()
    assert bodies(page) == before


def test_an_expected_log_is_a_clock_with_what_happened(page: Page) -> None:
    expected = page.locator("#expected li", has_text="backup expected every 2m: it ")
    expect(expected.locator("svg .hand")).to_have_count(2)


# Switches and actions


def test_a_switch_names_the_other_reason_that_texts_wait(page: Page) -> None:
    message = page.locator("#message")
    press(page, "quiet_hours")
    press(page, "twilio_down")
    press(page, "twilio_down")
    expect(message).to_have_text("Twilio is back. Quiet hours go on: all texts wait.")
    press(page, "twilio_down")
    press(page, "quiet_hours")
    expect(message).to_contain_text("Twilio is still down: all texts wait.")
    press(page, "twilio_down")


def test_an_outage_holds_and_ends_with_one_summary(page: Page) -> None:
    texts = len(bodies(page))
    press(page, "twilio_down")
    upload(page, "out 1.log", "out 2.log", "out 3.log")
    counts(page, "waiting", 3)
    assert len(bodies(page)) == texts
    press(page, "twilio_down")
    press(page, "flush")
    expect(page.locator(".texts p")).to_have_count(texts + 1)
    assert files_in(newest(page)) == 3
    counts(page, "waiting", 0)


def test_a_flush_after_an_outage_sends_the_texts_that_earlier_flushes_held(page: Page) -> None:
    """The page reports after each flush the texted files, the held files and the reason."""
    texts = len(bodies(page))
    message = page.locator("#message")
    press(page, "twilio_down")
    upload(page, "vain.log")
    counts(page, "waiting", 1)
    for _ in range(2):
        press(page, "flush")
        expect(message).to_contain_text("Nothing was texted. Still held: 1. Why: busy (")
    press(page, "twilio_down")
    expect(message).to_have_text("Twilio is back. The next flush sends what waits.")
    press(page, "flush")
    expect(page.locator(".texts p")).to_have_count(texts + 1)
    expect(message).to_have_text("Texted: 1 file in 1 text. Nothing is held now.")


def test_a_switch_loses_twilios_answers_and_texts_arrive_once(page: Page) -> None:
    button, message = page.locator("[data-action=lost_answers]"), page.locator("#message")
    press(page, "lost_answers")
    expect(button).to_have_attribute("aria-checked", "true")
    expect(message).to_contain_text("its answers are lost")
    upload(page, "lost.log")
    counts(page, "waiting", 1)
    expect(fate(page, "lost.log")).to_contain_text("waiting, Twilio's answer was lost")
    expect(page.locator("#why")).to_contain_text("Twilio's answer was lost. S3 Logs asks Twilio")
    press(page, "lost_answers")
    expect(button).to_have_attribute("aria-checked", "false")
    expect(message).to_have_text("Twilio's answers arrive again.")
    running, _ = newest_demo()
    with contextlib.closing(clients(running.url)) as aws:
        pass_a_minute(Deployed(aws, running.outputs))
    press(page, "flush")
    counts(page, "waiting", 0)
    assert sum("lost.log" in body for body in bodies(page)) == 1


def test_quiet_hours_hold_texts_until_they_end(page: Page) -> None:
    texts = len(bodies(page))
    press(page, "quiet_hours")
    upload(page, "quiet.log")
    counts(page, "waiting", 1)
    expect(page.locator("#why")).to_have_text(
        "1 waiting: quiet hours. Nothing is sent until quiet hours end."
    )
    press(page, "quiet_hours")
    press(page, "flush")
    expect(page.locator(".texts p")).to_have_count(texts + 1)
    assert "quiet.log" in newest(page)


def test_a_phone_that_replied_stop_fails_and_its_texts_can_be_retried(page: Page) -> None:
    stop = page.locator("[data-action=opted_out]").first
    failed, texted = count(page, "failed"), count(page, "texted")
    stop.click()
    expect(stop).to_have_attribute("aria-checked", "true")
    upload(page, "stop.log")
    counts(page, "failed", failed + 1)
    expect(fate(page, "stop.log")).to_contain_text("failed, the recipient replied STOP")
    stop.click()
    expect(stop).to_have_attribute("aria-checked", "false")
    press(page, "retry")
    counts(page, "failed", 0)
    press(page, "flush")
    counts(page, "waiting", 0)
    counts(page, "texted", texted + failed + 1)
    press(page, "retry")
    expect(page.locator("#message")).to_have_text("Nothing has failed.")


# Accessibility


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


def test_the_newest_text_is_in_sight_on_a_narrow_screen(browser: Browser, url: str) -> None:
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        page = opened(context.new_page(), url)
        upload(page, "sight.log")
        newest = page.locator(".texts > li > p", has_text="sight.log")
        expect(newest).to_be_in_viewport(ratio=1)


def test_no_line_of_the_diagram_is_behind_a_box(page: Page) -> None:
    boxes = page.locator(".step").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().toJSON())"
    )
    lines = page.locator(".diagram i").evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().toJSON())"
    )
    assert (len(boxes), len(lines)) == (5, 5)
    for line in lines:
        for box in boxes:
            overlaps = (
                line["left"] < box["right"]
                and line["right"] > box["left"]
                and line["top"] < box["bottom"]
                and line["bottom"] > box["top"]
            )
            assert not overlaps, (line, box)


def test_everything_can_be_done_with_the_keyboard(page: Page) -> None:
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.action ?? ''") == "twilio_down":
            break
    button = page.locator("[data-action=twilio_down]")
    for checked in ("true", "false"):
        page.keyboard.press("Enter")
        expect(button).to_have_attribute("aria-checked", checked)
        expect(button).to_have_attribute("aria-busy", "false")


def test_what_is_announced_overwrites_nothing_that_is_visible(page: Page) -> None:
    announcement, message = page.locator("[role=status]"), page.locator("#message")
    upload(page, "announced.log")
    expect(announcement).to_contain_text("A text to")
    expect(message).to_contain_text("A new hour")
    press(page, "new_hour")  # a repeated message is announced again
    expect(announcement).to_contain_text("A new hour")
    upload(page, "announced again.log")
    expect(announcement).to_contain_text("A text to")
    expect(message).to_contain_text("A new hour")


def test_the_page_animates_nothing_when_the_reader_prefers_reduced_motion(
    browser: Browser, url: str
) -> None:
    for motion, animates in (("reduce", False), ("no-preference", True)):
        with browser.new_context(
            reduced_motion="reduce" if motion == "reduce" else "no-preference"
        ) as context:
            page = opened(context.new_page(), url)
            page.evaluate(
                "() => document.addEventListener('animationstart', () => { window.seen = true; })"
            )
            upload(page, f"{motion}.log")
            expect(page.locator(".texts p", has_text=f"{motion}.log")).to_have_count(1)
            if animates:
                page.wait_for_function("window.seen")
            assert bool(page.evaluate("window.seen")) == animates


# Over plain HTTP


def test_no_other_page_may_press_a_button(url: str) -> None:
    for path in ("/twilio_down", "/storm", "/files?name=a.log"):
        for origin in ("https://example.com", "null", url.replace("http", "https")):
            answer = requests.post(url + path, headers={"Origin": origin}, timeout=60)
            assert answer.status_code == 403
    assert requests.get(f"{url}/twilio_down", timeout=60).status_code == 405


def test_the_page_refuses_other_host_names(url: str) -> None:
    """Another site may point its own host name at 127.0.0.1."""
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
    (first, *_) = snapshots(url, 0)
    assert first["texts"]
    for hidden in (SECRET, ACCOUNT_SID):
        assert hidden not in json.dumps(first)


def test_a_file_name_that_s3_rejects_is_refused(url: str) -> None:
    answer = requests.post(f"{url}/files", params={"name": 1025 * "x"}, data=b"x", timeout=60)
    assert (answer.status_code, answer.reason) == (400, "Bad Request")
    assert "The key has 1,025 bytes" in answer.text


def test_a_file_that_is_too_large_is_refused(url: str) -> None:
    answer = requests.post(f"{url}/files?name=a.log", data=b"x" * (MAX_FILE_BYTES + 1), timeout=60)
    assert (answer.status_code, answer.text) == (413, "a.log is larger than 10 MB.\n")
    assert requests.post(f"{url}/files", data=b"x", timeout=60).status_code == 400
