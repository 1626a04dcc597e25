"""The explanation of a key, on the emulator."""

from tests.local.conftest import PHONE, Deploy, leave_time_in_this_hour
from tests.local.operated import output_of

STOPPED = "+15005550004"  # Twilio's magic number of somebody who replied STOP


def test_explain_reads_what_the_deployed_stack_knows_and_sends_nothing(deploy: Deploy) -> None:
    leave_time_in_this_hour()
    system = deploy(toNumbers=f"{PHONE},{STOPPED}", maxTextsPerHour="1", message="See $key ($size)")
    system.upload("app/first.log")
    system.texts(1)
    system.decided("failed")
    shown = output_of("explain", system, "app/next.log")
    for expected in (
        "S3           calls notify\n",
        "  See app/next.log (1.2 kB)\n",
        "…0100        held: over the limit, until the next flush: 1 of 1 this hour, ",
        "…0004        sent now: 0 of 1 this hour, 0 of 5 at once; Twilio refused the last one ",
        "phone (21610: the recipient replied STOP)\n",
    ):
        assert expected in shown, shown
    assert "the key does not end with .log" in output_of("explain", system, "a.txt")
    assert len(system.twilio.texts) == 1
    assert len(system.decided("seen")) == 1
