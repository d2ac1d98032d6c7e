"""Somebody who types commands about an environment whose AWS fails."""

import io
import json
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from unittest.mock import patch

from faulty_aws import KINDS, FaultyAws, Schedule
from hypothesis import strategies as st
from moto import mock_aws

from ops import __main__ as program
from ops.cli import customers as customers_cli
from ops.cli import drill as drill_cli
from ops.cli import readiness as readiness_cli
from ops.cli import restore as restore_cli
from ops.cli import switch as switch_cli
from ops.cli import verify as verify_cli
from ops.drill import steps
from ops.errors import ExitCode
from ops.lock import Lease, hold
from ops.verify import CHECKS, certificates, table, tls, verify

SWITCH = "control/evacuation-us-east-1"
ENGAGED = {
    "pk": {"S": "control"}, "sk": {"S": "evacuation-us-east-1"},
    "evacuated_at": {"S": "2026-01-01T00:00:00+00:00"},
    "reason": {"S": "fire"}, "writer": {"S": "somebody"},
}  # fmt: skip
DRILL = "drill-20260101T000000Z-00000000"
CODES = {*ExitCode}
COMMANDS = (customers_cli, drill_cli, readiness_cli, switch_cli, verify_cli)


def schedules(kinds=KINDS):
    return st.builds(
        Schedule,
        seed=st.integers(0, 2**32),
        share=st.sampled_from([0.0, 0.02, 0.1, 0.4, 1.0]),
        kinds=st.lists(st.sampled_from(kinds), min_size=1, unique=True).map(tuple),
        expires_after=st.none() | st.integers(0, 120),
    )


class Operator:
    """Somebody who types commands about an environment whose AWS fails."""

    def __init__(self, schedule, *items):
        self.folder = Path(tempfile.mkdtemp())
        self.aws = FaultyAws(schedule)
        self.environment = self.aws.environment(folder=self.folder)
        self.printed = ""
        for item in items:
            self.aws.table.put(item)

    def run(self, *words):
        """Exit code and JSON document; what is printed besides must show no traceback."""
        out, errors = io.StringIO(), io.StringIO()
        where = ["--environment", "production", "--json"]
        if words[0] != "export":
            where += ["--folder", str(self.folder)]
        with redirect_stdout(out), redirect_stderr(errors):
            code = program.main([*words, *where])
        self.printed = errors.getvalue()
        assert "Traceback" not in self.printed
        document = json.loads(out.getvalue())
        assert document["exit_code"] == code
        # What AWS does is no bug of the tool's.
        assert "report it as a bug" not in str(document.get("error")), document["error"]
        assert code in CODES
        return code, document

    @property
    def switch(self):
        """Who has engaged the switch; None if nobody has."""
        return self.aws.table.items.get(SWITCH, {}).get("writer", {}).get("S")


@contextmanager
def operator(schedule, *items):
    """An operator whose commands wait for nothing."""
    quick = partial(hold, lease=Lease(0.02, 10.0, 0.005))
    # They open sockets of their own; other tests show what they do.
    checks = [check for check in CHECKS if check not in (certificates.served, tls.version)]
    with mock_aws(), ExitStack() as stack:
        made = Operator(schedule, *items)
        stack.callback(shutil.rmtree, made.folder)
        for module, name, value in (
            *((cli, "environment_from", lambda _: made.environment) for cli in COMMANDS),
            *((cli, "hold", quick) for cli in (switch_cli, drill_cli, restore_cli)),
            (verify_cli, "verify", partial(verify, checks=checks)),
            (table, "TIMEOUT_SECONDS", 0.05),
            (steps, "RETRY_SECONDS", 0.01),
            (steps, "POLL_SECONDS", 0.001),
        ):
            stack.enter_context(patch.object(module, name, value))
        yield made
