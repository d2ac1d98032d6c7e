"""An environment whose switch, functions and fault-injection API are what the test says."""

from dataclasses import replace
from types import SimpleNamespace

import fake_environment
from fake_environment import EAST, WEST
from fake_fis import TEMPLATE_IDS, FakeFis

from ops import switch
from ops.evacuation_item import Evacuation
from ops.fault_injection import InjectedFault
from ops.lock import LockedError, LockState
from ops.switch import SwitchChange


class FakeLambda:
    """A session of Lambda, with one function per Region, and of Fault Injection Service."""

    def __init__(self):
        self.reserved, self.fis = {}, FakeFis()

    def client(self, service, *, region_name, **_):
        if service == "fis":
            return self.fis.client(region_name)
        assert service == "lambda"

        def get(**_):
            value = self.reserved.get(region_name)
            return {} if value is None else {"ReservedConcurrentExecutions": value}

        def put(**arguments):
            self.reserved[region_name] = arguments["ReservedConcurrentExecutions"]

        def delete(**_):
            self.reserved.pop(region_name, None)

        return SimpleNamespace(
            get_function_concurrency=get,
            put_function_concurrency=put,
            delete_function_concurrency=delete,
        )


class FakeFaultInjection:
    """A fault-injection API; `failures` are raised by the next calls of `clear`."""

    url = "http://127.0.0.1:1"

    def __init__(self):
        self.injected, self.failures, self.calls = {}, [], []

    def inject(self, fault, *, id):
        self.injected[id] = fault
        self.calls.append(f"inject {fault.kind}")
        return id

    def set_replication_speed(self, speed):
        self.calls.append(f"replicate {speed:g} times as fast")

    def discard(self, region):
        self.calls.append(f"discard {region}")
        return 1

    def replication(self):
        return ()

    def faults(self):
        return tuple(InjectedFault(id, "now", fault) for id, fault in self.injected.items())

    def clear(self, id):
        if self.failures:
            raise self.failures.pop(0)
        if id in self.injected:
            self.calls.append(f"clear {self.injected[id].kind}")
        return bool(self.injected.pop(id, None))


class FakeSwitch:
    """The failover switch, in the place of the functions of `ops.switch`."""

    def __init__(self):
        self.state = Evacuation(EAST)

    @classmethod
    def instead(cls, monkeypatch):
        """One that commands and drills find in the place of the real switch."""
        fake = cls()
        for name in ("status", "statuses", "evacuate", "restore"):
            monkeypatch.setattr(switch, name, getattr(fake, name))
        return fake

    def status(self, _environment, region):
        assert region == EAST
        return self.state

    def statuses(self, _environment):
        return {EAST: self.state, WEST: Evacuation(WEST)}, {}

    def evacuate(
        self, _environment, region, *, reason="", writer="operator", kind="switch", fence_from=""
    ):
        assert region == EAST
        before = self.state
        if not before.evacuated or (before.kind == "drill" and kind != "drill"):
            self.state = Evacuation(
                EAST, evacuated=True, evacuated_at="now", reason=reason, writer=writer, kind=kind
            )
        return SwitchChange(before, self.state, before != self.state)

    def restore(self, _environment, region, *, writer=None):
        assert region == EAST
        before = self.state
        if writer in (None, before.writer):
            self.state = Evacuation(EAST)
        return SwitchChange(before, self.state, before != self.state)


class Silent:
    """In the place of the customers and of the watch: nothing is sent or seen."""

    customers = (None,)

    def __init__(self, *_, **__):
        pass

    def start(self):
        pass

    stop = start


class FakeLocks:
    """The lock of an environment, in the place of its item in the table."""

    def __init__(self):
        self.state = LockState()

    def read(self, _environment):
        return self.state

    def held(self, run, environment=None):
        self.state = replace(self.state, run=run)
        return FakeLock(self, run, environment)


class FakeLock:
    """The lock in the hands of one run; `failures` are raised by the next notes."""

    def __init__(self, locks, run, environment):
        self.locks, self.run, self.environment = locks, run, environment
        self.lost, self.failures = "", []

    @property
    def note(self):
        return self.locks.state.note

    def annotate(self, note):
        if self.failures:
            raise self.failures.pop(0)
        self.locks.state = replace(self.locks.state, note=note)

    def check(self):
        if self.lost:
            raise LockedError(self.lost, next_step="ask")


def sandbox_environment(folder, *, manual_failback=False, **changes):
    """A sandbox in which nothing runs."""
    return fake_environment.environment(
        outputs={"environment": "local", "experiment_template_ids": TEMPLATE_IDS}
        | ({"failback": fake_environment.FAILBACK} if manual_failback else {}),
        session=FakeLambda(),
        endpoint_url="http://127.0.0.1:1",
        sandbox=fake_environment.sandbox_access(),
        fault_injection=FakeFaultInjection(),
        folder=folder,
        **changes,
    )


def aws_environment(folder):
    return fake_environment.environment(
        outputs={"experiment_template_ids": TEMPLATE_IDS}, session=FakeLambda(), folder=folder
    )


__all__ = [
    "EAST",
    "WEST",
    "FakeLocks",
    "FakeSwitch",
    "aws_environment",
    "sandbox_environment",
]
