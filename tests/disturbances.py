"""What can happen to a drill at any moment, without an end to its process."""

import os
import resource
import signal
import sys
import time
from datetime import datetime, timedelta
from functools import partial

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from warm_ops import short_drill

CLOCK_STEP_SECONDS = 3600


def step_clock(seconds):
    """The time of day changes, as after a correction."""
    now = time.time

    class Stepped(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.now(zone) + timedelta(seconds=seconds)

    time.time = lambda: now() + seconds
    for name, module in list(sys.modules.items()):
        if name.startswith("ops.") and vars(module).get("datetime") is datetime:
            module.datetime = Stepped


def expire_credentials():
    """AWS accepts the session's credentials no longer."""

    def refused(_client, operation, _arguments):
        error = {"Code": "ExpiredTokenException", "Message": "The security token has expired"}
        raise ClientError({"Error": error}, operation)

    BaseClient._make_api_call = refused


ON_SIGNAL = {
    "clock forward": partial(step_clock, CLOCK_STEP_SECONDS),
    "clock back": partial(step_clock, -CLOCK_STEP_SECONDS),
    "credentials": expire_credentials,
}
"""What the drill's own process does, once it gets a signal."""


def awaited(kind):
    """Prepare the process of a drill for one of `ON_SIGNAL`."""
    short_drill()
    signal.signal(signal.SIGUSR1, lambda *_: ON_SIGNAL[kind]())


def fill_disk(pid):
    """No file that the process writes can grow any more, its output included."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0))


def disturb(kind, pid):
    """Disturb the process of a drill, which was prepared for it."""
    match kind:
        case "killed":
            os.kill(pid, signal.SIGKILL)
        case "disk":
            fill_disk(pid)
        case _:
            os.kill(pid, signal.SIGUSR1)
