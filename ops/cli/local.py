"""`python -m ops local`: the whole API on this machine."""

import argparse
import os
import shlex
import sys
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ops import local
from ops.errors import ExitCode, OpsError
from ops.stand import DEFAULT_FOLDER, PAGE, Ports, Workspace, check_free
from ops.terraform import Progress as TerraformProgress

console = Console(highlight=False, soft_wrap=True)


def add_to(verbs: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Registers the verb.

    Args:
        verbs: Where verbs are registered.
    """
    parser = verbs.add_parser("local", help="the whole API on this machine")
    local_verbs = parser.add_subparsers(metavar="VERB", required=True)

    def add(
        name: str, run: Callable[[argparse.Namespace], int], help: str
    ) -> argparse.ArgumentParser:
        verb = local_verbs.add_parser(name, help=help, description=help)
        verb.set_defaults(run=run)
        verb.add_argument(
            "--folder",
            type=Path,
            default=DEFAULT_FOLDER,
            help="where everything is kept (default: .local in the repository)",
        )
        return verb

    up = add("up", _up, "start the stand, deploy the API to it, register a few locations")
    defaults = Ports()
    for field in fields(Ports):
        up.add_argument(
            "--port" if field.name == "aws" else f"--{field.name}-port",
            dest=f"{field.name}_port",
            metavar="N",
            type=_port,
            help=f"port of {_PORT_MEANINGS[field.name]} (default: {getattr(defaults, field.name)})",
        )
    up.add_argument(
        "--no-deploy", action="store_true", help="start the local AWS alone, and deploy yourself"
    )
    up.add_argument(
        "--iam-enforced",
        action="store_true",
        help="check signatures and evaluate IAM policies, as AWS does",
    )
    up.add_argument(
        "--open",
        action="store_true",
        help="show the API live in the browser, with buttons to break and mend a Region; an API "
        "that runs already stays as it is",
    )
    up.add_argument("--free-ports", action="store_true", help="take ports that nothing uses now")
    up.add_argument(
        "--speed",
        metavar="F",
        type=float,
        default=local.DEFAULT_SPEED,
        help="how much faster than AWS health checks and DNS run "
        f"(default: {local.DEFAULT_SPEED:g})",
    )
    add("status", _status, "show what runs and how to call it")
    resolve = add("resolve", _resolve, "ask the local Route 53 for an address, as a customer would")
    resolve.add_argument("name", nargs="?", help="name to resolve (default: the API's)")
    add("env", _env, "print the exports that lead Terraform, cdktf and boto3 to the local AWS")
    add("down", _down, "end everything")


_PORT_MEANINGS = {
    "aws": "the local AWS",
    "edge": "HTTPS of the Regions, each on an address of its own",
    "control": "the edges' faults",
    "dns": "Route 53's answers",
    "status": "Route 53's health checks",
    "page": "the live page, if --open is given",
}


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else 0
    if not 0 < port < 65536:
        raise argparse.ArgumentTypeError(f"got {text!r}; a port is a number from 1 to 65535")
    return port


def _workspace(options: argparse.Namespace) -> Workspace:
    return Workspace(options.folder.resolve())


def _up(options: argparse.Namespace) -> int:
    if options.speed <= 0:
        raise OpsError(
            f"--speed {options.speed:g} is no speed",
            next_step="give a factor above 0, for example --speed 10",
            exit_code=ExitCode.USAGE,
        )
    ports = Ports.free() if options.free_ports else Ports()
    for field in fields(Ports):
        if (given := getattr(options, f"{field.name}_port")) is not None:
            ports = replace(ports, **{field.name: given})
    workspace = _workspace(options)
    if options.iam_enforced and (running := workspace.running()) and not running.iam_enforced:
        raise OpsError(
            "the local AWS runs without --iam-enforced, and cannot begin to enforce",
            next_step="end it first: python -m ops local down",
            exit_code=ExitCode.USAGE,
        )
    if options.no_deploy and options.open:
        raise OpsError(
            "--open shows a deployed API, and --no-deploy deploys none",
            next_step="leave one of them out",
            exit_code=ExitCode.USAGE,
        )
    if options.no_deploy:
        running = local.start(
            workspace,
            ports=ports,
            speed=options.speed,
            iam_enforced=options.iam_enforced,
            on_step=console.print,
        )
        console.print(f"The local AWS answers at {running.endpoint_url}")
        return ExitCode.PASSED
    if options.open and (api := local.whole(workspace)):
        console.print("The local API runs already; to deploy changes: python -m ops local up")
    else:
        noted = workspace.noted()
        if options.open and not (noted and noted.page_url):
            # Sooner than after a minute.
            check_free(PAGE, ports.page)
        api = _deploy(workspace, ports, options)
    if options.open:
        wanted = ports.page if options.free_ports and not api.stand.page_url else None
        api = local.open_page(workspace, api, options.page_port or wanted)
    _print_api(workspace, api)
    if options.open:
        _show(api.stand.page_url)
    return ExitCode.PASSED


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
        told = 0

        def show(progress: TerraformProgress) -> None:
            nonlocal told
            current = progress.running[0] if progress.running else ""
            bar.update(
                task,
                visible=True,
                completed=progress.done,
                total=progress.total or None,
                description=current[:60],
            )
            # Without a terminal there is no bar: a line now and then says that it goes on.
            if not console.is_terminal and progress.done >= told + 25:
                told = progress.done
                console.print(f"  {progress.done} of {progress.total} resources")

        return local.up(
            workspace,
            ports=ports,
            speed=options.speed,
            iam_enforced=options.iam_enforced,
            on_step=console.print,
            on_progress=show,
        )


def _show(url: str) -> None:
    """Opens a browser window, if there is a screen for it; otherwise the URL is enough."""
    screen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    )
    if screen:
        # Without a browser it is False, and with a broken one an error: no reason to fail.
        with suppress(webbrowser.Error, OSError):
            webbrowser.open(url)


def _status(options: argparse.Namespace) -> int:
    _print_api(_workspace(options), local.status(_workspace(options)))
    return ExitCode.PASSED


def _resolve(options: argparse.Namespace) -> int:
    api = local.status(_workspace(options))
    name = options.name or api.outputs["record_name"]
    answer = api.network.resolve(name)
    if not answer.addresses:
        raise OpsError(
            f"{name}: {answer.error}",
            next_step="see the health checks: python -m ops verify",
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
            next_step="start it with: python -m ops local up --no-deploy",
        )
    for name, value in (running.variables | local.key_variable(workspace)).items():
        print(f"export {name}={shlex.quote(value)}")
    return ExitCode.PASSED


def _down(options: argparse.Namespace) -> int:
    ran = local.down(_workspace(options))
    console.print("The local API is down." if ran else "Nothing was running.")
    return ExitCode.PASSED


def _print_api(workspace: Workspace, api: local.LocalApi) -> None:
    table = Table("Region", "URL that answers here", title="The weather API on this machine")
    for region, url in api.region_urls.items():
        table.add_row(region, url)
    console.print(table)
    first, *_, last = (
        f"{_connected(workspace, api, url)}{url}" for url in api.region_urls.values()
    )
    ops = "python -m ops local"
    if workspace.folder != DEFAULT_FOLDER:
        ops_folder = f" --folder {shlex.quote(str(workspace.folder))}"
    else:
        ops_folder = ""
    console.print("\nCall one Region:\n")
    console.print(f"  curl -i {first}/health")
    if api.api_key:
        console.print(f"  curl -H 'x-api-key: {api.api_key}' {last}/weather/amsterdam")
    console.print("\nCall the API by its name, wherever Route 53 leads now:\n")
    console.print(
        f"  curl -i --cacert {shlex.quote(_shown(workspace.ca_file))} "
        f'--connect-to "::$({ops} resolve{ops_folder}):{api.stand.ports.edge}" '
        f"{api.outputs['api_url']}/health"
    )
    if api.stand.page_url:
        console.print(f"\nWatch it, break a Region and mend it: {api.stand.page_url}")
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
