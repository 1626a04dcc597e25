"""All that runs in Lambda: `notify`, the function that S3 calls.

Importing this package needs no environment and does nothing, except in Lambda, where it gets ready
for the first event: what Lambda imports while it starts a function is not waited for by an event.
"""

import functools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handler.notifier import Notifier


def notify(event: object, context: object) -> None:  # noqa: ARG001  # Lambda's signature
    """Text every phone about every log file in an event.

    Args:
        event: What S3 says happened; see `handler.events.read` for its shapes.
        context: Lambda's context.

    Raises:
        handler.notifier.NotAllSettled: Something is left for another try, which Lambda makes
            after one minute and again after two.
        handler.settings.SettingsError: The function's environment is incomplete.
    """
    _notifier().notify(event)


@functools.cache
def _notifier() -> "Notifier":
    from handler.notifier import Notifier
    from handler.sender import TwilioSender
    from handler.settings import Settings

    settings = Settings.from_environment(os.environ)
    return Notifier(settings, TwilioSender(settings))


# Lambda names the function to run in `_HANDLER`, a variable that nothing else may set.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
if os.environ.get("_HANDLER") == "handler.notify":
    _notifier()
