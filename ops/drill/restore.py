"""Puts right what drills have left: what the journal says, and whatever else can be found."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ops import switch
from ops.drill import journal as journals
from ops.drill.injection import REASON, Injection, reserved_concurrency, undo
from ops.drill.station import stations
from ops.emulator.control import ServiceFaults
from ops.environment import Environment
from ops.errors import ExitCode, OpsError


@dataclass(frozen=True)
class Restored:
    """What was done.

    Attributes:
        done: What was put right, in words.
        failed: What could not be, in words.
    """

    done: tuple[str, ...]
    failed: tuple[str, ...]


def restore(environment: Environment, folder: Path) -> Restored:
    """Puts everything right that a drill may have broken.

    Args:
        environment: The environment.
        folder: Folder of all drills, where the journal stands.

    Returns:
        What was done; the journal is removed once nothing has failed.

    Raises:
        OpsError: A drill runs.
    """
    path = journals.journal_file(folder, environment.name)
    done: list[str] = []
    failed: list[str] = []

    def attempt(what: str, step: Callable[[], Iterator[str]]) -> None:
        try:
            done.extend(step())
        except OpsError as error:
            failed.append(f"{what}: {error}")

    journal = None
    try:
        journal = journals.read(path)
    except journals.TornJournalError as error:
        done.append(f"disregarded {path}, which is no journal: {error}")
    if journal and journal.is_alive:
        raise OpsError(
            f"a drill of {environment.name} runs, as process {journal.program.pid}",
            next_step="wait for it, or end it with Ctrl-C: it puts everything right itself",
            exit_code=ExitCode.SURROUNDINGS,
        )
    if journal and journal.environment == environment.name:
        injection = journal.injection
        attempt(f"the {injection.kind} of the drill", lambda: iter([undo(environment, injection)]))
    attempt("the switch", lambda: _switch(environment))
    attempt("the edges", lambda: _edges(environment))
    attempt("the local AWS", lambda: _services(environment))
    for region in environment.regions:
        attempt(
            f"the health function in {region}",
            lambda region=region: _concurrency(environment, region),  # type: ignore[misc]
        )
    attempt("the drills' observations", lambda: _observations(environment))
    if not failed and path.exists():
        path.unlink()
        done.append(f"removed the journal {path}")
    return Restored(tuple(done), tuple(failed))


def _switch(environment: Environment) -> Iterator[str]:
    if "switch" not in environment.outputs:
        return
    state = switch.status(environment)
    if state.engaged and state.reason.startswith(REASON):
        switch.release(environment)
        yield f"released the switch, engaged since {state.engaged_at}: {state.reason}"
    elif state.engaged:
        yield f"left the switch as it is, which no drill has engaged: {state}"


def _edges(environment: Environment) -> Iterator[str]:
    if environment.edge:
        for injected in environment.edge.mend_all():
            yield f"mended the fault {injected.fault.kind} of the edge of {injected.fault.region}"


def _services(environment: Environment) -> Iterator[str]:
    if environment.endpoint_url:
        for fault in ServiceFaults(environment.endpoint_url).mend_all():
            yield f"mended {fault.service} in {fault.region}: {fault.error}"


def _concurrency(environment: Environment, region: str) -> Iterator[str]:
    if reserved_concurrency(environment, region) == 0:
        function = environment.outputs["health_functions"][region]
        yield undo(
            environment,
            Injection("concurrency", region, {"function": function, "previous": None}),
        )


def _observations(environment: Environment) -> Iterator[str]:
    for station in stations(environment):
        for region in environment.regions:
            if count := station.clear(region):
                yield f"deleted {count} observations of {station.location_id} in {region}"
