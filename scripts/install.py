"""Install exactly what a Pipfile.lock pins, with every hash checked: `make setup`.

`pipenv sync --dev` installs the same and takes several times as long. Packages come from where the
reader's pip gets them: uv does not read pip's settings, so they are passed on.
"""

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parent.parent / "Pipfile.lock"
VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "no-index": "",
}
"""pip's settings of where packages come from, and uv's variables for the same."""


def packages(lock_file: Path) -> dict[str, dict[str, Any]]:
    """Return `{name: entry}` of everything that a lock file pins."""
    lock = json.loads(lock_file.read_text(encoding="utf-8"))
    pinned: dict[str, dict[str, Any]] = lock["default"] | lock["develop"]
    return pinned


def requirement(name: str, entry: dict[str, Any]) -> str:
    """Return a line of a requirements file, with the package's marker and hashes."""
    marker = f" ; {entry['markers']}" if "markers" in entry else ""
    hashes = "".join(f" --hash={digest}" for digest in entry["hashes"])
    return f"{name}{entry['version']}{marker}{hashes}\n"


def uv_settings(pip_config_list: str) -> tuple[list[str], dict[str, str]]:
    """Return uv's options and environment variables for what `pip config list` prints."""
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in pip_config_list.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.rpartition(".")
        if section in sections and name in VARIABLES:
            sections[section][name] = ast.literal_eval(value)
    settings = sections["global"] | sections["install"] | sections[":env:"]
    options = ["--no-index"] * (settings.pop("no-index", "").lower() in ("1", "true", "yes", "on"))
    return options, {
        VARIABLES[name]: (",".join(value.split()) if name == "find-links" else value)
        for name, value in settings.items()
    }


def main() -> None:
    """Install a lock file's packages into a virtual environment."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lock", type=Path, default=LOCK, help="default: the project's")
    parser.add_argument(
        "--environment", type=Path, default=Path(sys.prefix), help="default: this Python's"
    )
    arguments = parser.parse_args()
    pip = [sys.executable, "-m", "pip"]
    config = subprocess.run([*pip, "config", "list"], check=True, stdout=subprocess.PIPE, text=True)
    options, variables = uv_settings(config.stdout)

    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(requirement("uv", packages(LOCK)["uv"]), encoding="utf-8")
        subprocess.run(
            [*pip, "install", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--require-hashes", "--requirement", requirements],
            check=True,
        )  # fmt: skip
        lines = (requirement(name, entry) for name, entry in packages(arguments.lock).items())
        requirements.write_text("".join(lines), encoding="utf-8")
        # All sources count alike, as in pip: with a hash, it does not matter which one delivers.
        subprocess.run(
            [sys.executable, "-m", "uv", "pip", "sync", "--quiet", "--require-hashes",
             "--index-strategy=unsafe-best-match", "--python", arguments.environment, *options,
             requirements],
            env=os.environ | variables,
            check=True,
        )  # fmt: skip


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
