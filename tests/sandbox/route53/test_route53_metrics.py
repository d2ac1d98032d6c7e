import asyncio

import pytest

from sandbox.route53 import metrics

pytestmark = pytest.mark.unit


def test_a_check_is_one_while_healthy_and_zero_while_not():
    data = metrics.metric_data({"a": True, "b": False})

    assert [(d["MetricName"], d["Dimensions"][0]["Value"], d["Value"]) for d in data] == [
        ("HealthCheckStatus", "a", 1.0), ("HealthCheckStatus", "b", 0.0),
    ]  # fmt: skip


def test_states_are_published_again_and_again_and_a_failure_ends_nothing(caplog):
    states, published = {"a": True}, []

    def put(data):
        published.append(data[0]["Value"])
        if len(published) == 2:
            raise OSError("no CloudWatch")
        if len(published) == 3:
            states["a"] = False

    async def until(count):
        task = asyncio.create_task(
            metrics.publish_forever(put, lambda: states, period_seconds=lambda: 0.001)
        )
        while len(published) < count:
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(until(4))

    assert published[:4] == [1.0, 1.0, 1.0, 0.0]
    assert "metrics are not published: OSError: no CloudWatch" in caplog.text


def test_nothing_is_published_before_there_are_checks():
    async def short():
        task = asyncio.create_task(
            metrics.publish_forever(pytest.fail, dict, period_seconds=lambda: 0.001)
        )
        await asyncio.sleep(0.01)
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(short())
