"""`python -m sandbox`: the whole API on this machine."""

import argparse
import os
import shlex
import sys
import webbrowser
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ops.cli.program import run
from ops.errors import ExitCode, OpsError
from ops.folders import DEFAULT_FOLDER
from ops.terraform import Progress as TerraformProgress
from sandbox import lifecycle as local
from sandbox.emulator.capacity import COLD_START_SECONDS
from sandbox.interrupts import deferred
from sandbox.listener import port_number
from sandbox.programs import check_free
from sandbox.replication.lag import DEFAULT_MEDIAN_SECONDS, P99_OF_MEDIAN
from sandbox.validation import (
    cold_start_seconds,
    lag_seconds,
    region_concurrency,
    region_throttle,
    speed_factor,
)
from sandbox.workspace import PAGE, VARIABLE, Ports, Workspace

console = Console(highlight=False, soft_wrap=True)


def parser() -> argparse.ArgumentParser:
    """The command line: every command with its options."""
    whole = argparse.ArgumentParser(
        prog="python -m sandbox", description="The whole API on this machine."
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], int], help: str
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help, description=help)
        command.set_defaults(run=run)
        command.add_argument(
            "--folder",
            type=Path,
            default=DEFAULT_FOLDER,
            help="where everything is kept (default: .local in the repository)",
        )
        return command

    up = add("up", _up, "start a sandbox, deploy the API to it, register a few locations")
    defaults = Ports()
    for field in fields(Ports):
        up.add_argument(
            "--port" if field.name == "aws" else f"--{field.name}-port",
            dest=f"{field.name}_port",
            metavar="N",
            type=partial(port_number, least=1),
            help=f"port of {_PORT_MEANINGS[field.name]} (default: {getattr(defaults, field.name)})",
        )
    up.add_argument(
        "--no-deploy", action="store_true", help="start the local AWS alone, and deploy yourself"
    )
    for option, meaning in _EMULATOR_OPTIONS.items():
        up.add_argument(option, action="store_true", help=meaning)
    up.add_argument(
        "--open",
        action="store_true",
        help="show the API live in the browser, with buttons that inject and clear "
        "faults; an API that runs already stays as it is",
    )
    up.add_argument("--free-ports", action="store_true", help="take ports that nothing uses now")
    up.add_argument(
        "--speed",
        metavar="F",
        type=speed_factor,
        default=local.DEFAULT_SPEED,
        help="how much faster than AWS replication, health checks and DNS run, 1 or more "
        f"(default: {local.DEFAULT_SPEED:g})",
    )
    up.add_argument(
        "--replication-lag",
        metavar="SECONDS",
        type=lag_seconds,
        help="how long a write takes to another Region on AWS: the median, 1 %% take "
        f"{P99_OF_MEDIAN:g} times as long; 0 for none (default: {DEFAULT_MEDIAN_SECONDS:g})",
    )
    for option, (metavar, type, meaning) in _CAPACITY_OPTIONS.items():
        up.add_argument(option, metavar=metavar, type=type, action="append", help=meaning)
    add("status", _status, "show what runs and how to call it")
    resolve = add("resolve", _resolve, "ask the local Route 53 for an address, as a customer would")
    resolve.add_argument("name", nargs="?", help="name to resolve (default: the API's)")
    add("env", _env, "print the exports that direct Terraform, cdktf and boto3 to the sandbox")
    add("down", _down, "end everything")
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    return run(parser(), arguments)


def _checked(read: Callable[[str], object], text: str) -> str:
    """An argument of the emulator as it is, once it is found to be valid."""
    read(text)
    return text


_EMULATOR_OPTIONS = {
    "--iam-enforced": "check signatures and evaluate IAM policies, as AWS does",
    "--lenient": "take requests that do not fit AWS's service models, which AWS refuses",
}
_PORT_MEANINGS = {
    "aws": "the emulator of AWS",
    "https": "HTTPS of the Regions, each on its own address",
    "faults": "the fault-injection API",
    "dns": "Route 53's answers",
    "status": "Route 53's health checks",
    "page": "the live page, if --open is given",
}


_CAPACITY_OPTIONS: dict[str, tuple[str, Callable[[str], str], str]] = {
    "--cold-start": (
        "SECONDS",
        partial(_checked, cold_start_seconds),
        "how long a new environment of a function takes to start on AWS "
        f"(default: {COLD_START_SECONDS:g})",
    ),
    "--lambda-concurrency": (
        "REGION=N",
        partial(_checked, region_concurrency),
        "how many invocations a Region runs at once, for example us-west-2=10 (default: 1000)",
    ),
    "--api-throttle": (
        "REGION=RATE/BURST",
        partial(_checked, region_throttle),
        "requests a second, and at once, that all APIs of a Region take together, for example "
        "us-west-2=100/50 (default: AWS's default quotas)",
    ),
}
"""Options of the emulator with values: `{option: (metavar, type, meaning)}`."""


def _emulator_options(options: argparse.Namespace) -> tuple[str, ...]:
    def given(option: str) -> Any:
        return getattr(options, option.removeprefix("--").replace("-", "_"))

    return (
        *(option for option in _EMULATOR_OPTIONS if given(option)),
        *(f"{option}={value}" for option in _CAPACITY_OPTIONS for value in given(option) or ()),
    )


def _replication_lag(options: argparse.Namespace) -> float:
    return DEFAULT_MEDIAN_SECONDS if options.replication_lag is None else options.replication_lag


def _workspace(options: argparse.Namespace) -> Workspace:
    return Workspace(options.folder.resolve())


def _up(options: argparse.Namespace) -> int:
    ports = Ports.free() if options.free_ports else Ports()
    for field in fields(Ports):
        if (given := getattr(options, f"{field.name}_port")) is not None:
            ports = replace(ports, **{field.name: given})
    workspace = _workspace(options)
    wanted, running = _emulator_options(options), workspace.running()
    if running and (missing := [each for each in wanted if each not in running.emulator_options]):
        raise OpsError(
            f"the local AWS runs without {' and '.join(missing)}, which it takes at its start only",
            next_step="end it first: python -m sandbox down",
            exit_code=ExitCode.USAGE,
        )
    if running and options.replication_lag not in (None, running.replication_lag):
        raise OpsError(
            f"the local AWS runs with --replication-lag {running.replication_lag:g}, not "
            f"{options.replication_lag:g}: it takes it at its start only",
            next_step="end it first: python -m sandbox down",
            exit_code=ExitCode.USAGE,
        )
    if options.no_deploy and options.open:
        raise OpsError(
            "--open shows a deployed API, and --no-deploy deploys none",
            next_step="leave one of them out",
            exit_code=ExitCode.USAGE,
        )
    # Every process that this one starts is one of the sandbox.
    os.environ[VARIABLE] = str(workspace.folder)
    with (
        deferred() as interrupts,
        workspace.locked(),
        local.whole_or_nothing(workspace, interrupts),
    ):
        api = _started(workspace, ports, options)
    if api is None:
        return ExitCode.PASSED
    _print_api(workspace, api)
    if options.open:
        _show(api.sandbox.page_url)
    return ExitCode.PASSED


def _started(
    workspace: Workspace, ports: Ports, options: argparse.Namespace
) -> local.LocalApi | None:
    """Start what the options ask for; None if it is the emulator alone."""
    if options.no_deploy:
        if local.usable(workspace) is None:
            local.down(workspace)
        running = local.start(
            workspace,
            ports=ports,
            speed=options.speed,
            emulator_options=_emulator_options(options),
            replication_lag=_replication_lag(options),
            on_step=console.print,
        )
        console.print(f"The emulator of AWS is at {running.endpoint_url}")
        return None
    if options.open and (api := local.whole(workspace)):
        console.print("The local API runs already; to deploy changes: python -m sandbox up")
    else:
        noted = workspace.noted()
        if options.open and not (noted and noted.page_url):
            # Sooner than after a minute.
            check_free(PAGE, ports.page)
        api = _deploy(workspace, ports, options)
    if options.open:
        wanted = ports.page if options.free_ports and not api.sandbox.page_url else None
        api = local.open_page(workspace, api, options.page_port or wanted)
    return api


def _deploy(workspace: Workspace, ports: Ports, options: argparse.Namespace) -> local.LocalApi:
    with Progress(
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as bar:
        task = bar.add_task("", total=None, visible=False)
        printed = 0

        def show(progress: TerraformProgress) -> None:
            nonlocal printed
            current = progress.running[0] if progress.running else ""
            bar.update(
                task,
                visible=True,
                completed=progress.done,
                total=progress.total or None,
                description=current[:60],
            )
            # Without a terminal there is no bar: a line now and then shows progress.
            if not console.is_terminal and progress.done >= printed + 25:
                printed = progress.done
                console.print(f"  {progress.done} of {progress.total} resources")

        return local.up(
            workspace,
            ports=ports,
            speed=options.speed,
            emulator_options=_emulator_options(options),
            replication_lag=_replication_lag(options),
            on_step=console.print,
            on_progress=show,
        )


def _show(url: str) -> None:
    """Open a browser window, if there is a screen for it; otherwise the URL is enough."""
    screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    )
    if screen:
        # Without a browser it is False, and an unusable one an error: no reason to fail.
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(url)


def _status(options: argparse.Namespace) -> int:
    _print_api(_workspace(options), local.status(_workspace(options)))
    return ExitCode.PASSED


def _resolve(options: argparse.Namespace) -> int:
    api = local.status(_workspace(options))
    name = options.name or api.outputs.record_name
    answer = api.network.resolve(name)
    if not answer.addresses:
        raise OpsError(
            f"{name}: {answer.error}",
            next_step="see the health checks: python -m ops verify --environment local",
            exit_code=ExitCode.CHECK_FAILED,
        )
    print("\n".join(answer.addresses))
    return ExitCode.PASSED


def _env(options: argparse.Namespace) -> int:
    workspace = _workspace(options)
    running = workspace.running()
    if running is None:
        raise OpsError(
            "the local AWS does not run",
            next_step="start it with: python -m sandbox up --no-deploy",
        )
    for name, value in (running.variables | local.key_variable(workspace)).items():
        print(f"export {name}={shlex.quote(value)}")
    return ExitCode.PASSED


def _down(options: argparse.Namespace) -> int:
    workspace = _workspace(options)
    # What has begun to end ends: an interrupt would leave the rest.
    with deferred(), workspace.locked():
        ran = local.down(workspace)
    console.print("The local API is down." if ran else "Nothing was running.")
    return ExitCode.PASSED


def _print_api(workspace: Workspace, api: local.LocalApi) -> None:
    table = Table("Region", "URL on this machine", title="The weather API on this machine")
    for region, url in api.region_urls.items():
        table.add_row(region, url)
    console.print(table)
    first, *_, last = (
        f"{_connected(workspace, api, url)}{url}" for url in api.region_urls.values()
    )
    ops = "python -m sandbox"
    if workspace.folder != DEFAULT_FOLDER:
        ops_folder = f" --folder {shlex.quote(str(workspace.folder))}"
    else:
        ops_folder = ""
    console.print("\nCall one Region:\n")
    console.print(f"  curl -i {first}/health")
    if api.api_key:
        console.print(f"  curl -H 'x-api-key: {api.api_key}' {last}/weather/amsterdam")
    console.print("\nCall the API by its name, wherever Route 53 routes to now:\n")
    console.print(
        f"  curl -i --cacert {shlex.quote(_shown(workspace.ca_file))} "
        f'--connect-to "::$({ops} resolve{ops_folder}):{api.sandbox.ports.https}" '
        f"{api.outputs.api_url}/health"
    )
    console.print(
        f"\nIt runs {api.sandbox.speed:g} times as fast as AWS; replication takes "
        f"{api.sandbox.replication_lag:g} s of AWS."
    )
    if api.sandbox.page_url:
        console.print(f"\nWatch it, inject faults and clear them: {api.sandbox.page_url}")
    console.print(f"\nEnd it with: {ops} down{ops_folder}")


def _connected(workspace: Workspace, api: local.LocalApi, url: str) -> str:
    """What curl needs to reach a Region by a name of its own; nothing where its URL says it all."""
    found = api.network.hosts.get(urlsplit(url).netloc)
    if found is None:
        return ""
    ca_file = shlex.quote(_shown(workspace.ca_file))
    return f"--cacert {ca_file} --connect-to ::{found[0]}:{found[1]} "


def _shown(path: Path) -> str:
    """A path as short as it can be typed from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    sys.exit(main())
