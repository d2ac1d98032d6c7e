"""`python -m ops`: arguments in, tables out."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ops import local
from ops.errors import OpsError
from ops.terraform import Progress as TerraformProgress

console = Console(highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Args:
        arguments: The command line without the program's name; by default the process's own.

    Returns:
        The exit code.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except OpsError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            f"Error: {error}", style="red", markup=False
        )
        return error.exit_code
    except KeyboardInterrupt:
        print("\nInterrupted. Look at what runs with: python -m ops local status", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ops", description=__doc__)
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    local_parser = verbs.add_parser("local", help="the whole API on this machine")
    local_verbs = local_parser.add_subparsers(metavar="VERB", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int | None], help: str) -> None:
        verb = local_verbs.add_parser(name, help=help, description=help)
        verb.set_defaults(run=run)
        verb.add_argument(
            "--folder",
            type=Path,
            default=local.DEFAULT_FOLDER,
            help="where everything is kept (default: .local in the repository)",
        )
        if name == "up":
            verb.add_argument(
                "--port",
                type=int,
                default=local.DEFAULT_PORT,
                help=f"port of the local AWS on 127.0.0.1 (default: {local.DEFAULT_PORT})",
            )

    add("up", _local_up, "start the local AWS, deploy the API to it, register a few locations")
    add("status", _local_status, "show what runs and how to call it")
    add("env", _local_env, "print the exports that lead Terraform, cdktf and boto3 to it")
    add("down", _local_down, "end everything")
    return parser


def _local_up(options: argparse.Namespace) -> None:
    workspace = local.Workspace(options.folder.resolve())
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

        api = local.up(workspace, port=options.port, on_step=console.print, on_progress=show)
    _print_api(api)


def _local_status(options: argparse.Namespace) -> None:
    _print_api(local.status(local.Workspace(options.folder.resolve())))


def _local_env(options: argparse.Namespace) -> None:
    workspace = local.Workspace(options.folder.resolve())
    api = local.status(workspace)
    for name, value in (api.aws.variables | {"TF_VAR_api_key_value": api.api_key}).items():
        print(f"export {name}={shlex.quote(value)}")


def _local_down(options: argparse.Namespace) -> None:
    ran = local.down(local.Workspace(options.folder.resolve()))
    console.print("The local API is down." if ran else "Nothing was running.")


def _print_api(api: local.LocalApi) -> None:
    table = Table("Region", "URL that answers here", title="The weather API on this machine")
    for region, url in api.region_urls.items():
        table.add_row(region, url)
    console.print(table)
    urls = list(api.region_urls.values())
    console.print("\nTry it:\n")
    console.print(f"  curl -i {urls[0]}/health")
    console.print(f"  curl -H 'x-api-key: {api.api_key}' {urls[-1]}/weather/amsterdam")
    console.print("\nEnd it with: python -m ops local down")


if __name__ == "__main__":
    sys.exit(main())
