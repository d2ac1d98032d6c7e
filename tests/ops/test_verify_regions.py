"""A Region is healthy if one of a few requests in a row is answered: a cold start is no outage."""

import pytest
from fake_environment import environment

from ops.http_client import Response
from ops.verify import regions
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

OK, FAILS, SILENT = 200, Response(503), Response(None, error="timed out")
REFUSED = Response(None, error="refused", unreachable=True)


class Network:
    """Responds to one request after the other with what was planned, in every Region."""

    def __init__(self, *planned):
        self.planned, self.calls = planned, []

    def address_of(self, host):
        return host, 443

    def request(self, method, url, *, headers=None, address=None):
        done = sum(at == address for at in self.calls)
        self.calls.append(address)
        response = self.planned[min(done, len(self.planned) - 1)]
        if response == OK:
            return Response(OK, region="us-east-1" if "east" in address else "us-west-2")
        return response


@pytest.mark.parametrize("check", [regions.url, regions.domain])
@pytest.mark.parametrize(
    ("planned", "outcome", "calls"),
    [
        ([OK], Outcome.PASSED, 1),
        ([FAILS, OK], Outcome.PASSED, 2),
        ([FAILS, SILENT, OK], Outcome.PASSED, 3),
        ([FAILS, FAILS, FAILS, OK], Outcome.FAILED, 3),
    ],
)
def test_three_failures_in_a_row_fail(check, planned, outcome, calls):
    network = Network(*planned)

    found = check.run(environment({}, network=network))

    assert [each.outcome for each in found] == [outcome] * 2
    assert len(network.calls) == 2 * calls


def test_a_region_that_refuses_connections_is_not_tried_again():
    network = Network(REFUSED, OK)

    first, *_ = regions.url.run(environment({}, network=network))

    assert first.outcome is Outcome.FAILED


def test_no_try_begins_when_the_time_is_used_up(monkeypatch):
    monkeypatch.setattr(regions, "HEALTH_SECONDS", -1)
    network = Network(FAILS, OK)

    found = regions.url.run(environment({}, network=network))

    assert [each.outcome for each in found] == [Outcome.FAILED] * 2
