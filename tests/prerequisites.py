"""What a test needs to run: skipped with the reason where it is missing, failed under CI."""

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from ops.terraform import PROVIDER_MIRROR_HINT

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMEDRIVER = shutil.which("chromedriver")


def require_terraform() -> None:
    """Skip the test unless Terraform and the AWS provider are available."""
    reason = _missing()
    if reason and os.environ.get("CI"):
        pytest.fail(f"required under CI: {reason}", pytrace=False)
    if reason:
        pytest.skip(reason)


def require_chromium() -> None:
    """Skip the test unless Chromium and its driver are installed."""
    needed = [("Chromium", CHROMIUM), ("ChromeDriver", CHROMEDRIVER)]
    if missing := " and ".join(name for name, program in needed if program is None):
        reason = f"{missing} cannot be found: on Debian, apt-get install chromium chromium-driver"
        if os.environ.get("CI"):
            pytest.fail(f"required under CI: {reason}", pytrace=False)
        pytest.skip(reason)


def require_graphviz() -> None:
    """Skip the test unless Graphviz is installed."""
    if shutil.which("dot") is None:
        reason = "dot is not on the PATH: on Debian, apt-get install graphviz"
        if os.environ.get("CI"):
            pytest.fail(f"required under CI: {reason}", pytrace=False)
        pytest.skip(reason)


@cache
def _missing() -> str:
    if shutil.which("terraform") is None:
        return "terraform is not on the PATH: install Terraform 1.11 or newer"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.tf.json").write_text(
            '{"terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}}}'
        )
        done = subprocess.run(
            ["terraform", "init", "-input=false", "-no-color"],
            cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
    return (
        f"the AWS provider cannot be installed: {PROVIDER_MIRROR_HINT}" if done.returncode else ""
    )
