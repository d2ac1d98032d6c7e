"""The benchmarks run to their end, whatever they measure on this machine."""

import os
import subprocess
import sys

import pytest
from repository_files import REPOSITORY

pytestmark = [pytest.mark.program, pytest.mark.soak]


OTHER = "# Benchmarks of others\n\nMeasured before.\n"


def test_the_load_is_measured(tmp_path):
    report = tmp_path / "benchmarks.md"
    report.write_text(OTHER)

    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.load", "--rates", "2", "--seconds", "5",
         "--report", str(report)],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip

    assert run.returncode == 0, run.stderr
    text = report.read_text()
    assert text.startswith(f"{OTHER}\n# Benchmarks of the load\n")
    assert text.count("\n| 2 | ") == 2
    assert "Largest rate that was carried: " in text


@pytest.mark.parametrize(
    ("benchmark", "row"),
    [("synthesis", "through ts-node"), ("functions", "`get_evacuation`")],
)
def test_every_program_runs(tmp_path, benchmark, row):
    report = tmp_path / "benchmarks.md"

    run = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{benchmark}", "--rounds", "1", "--report", str(report)],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        capture_output=True,
        text=True,
    )

    # THEN it ends without an error; whether targets are met depends on the machine
    assert run.returncode == 0, run.stderr
    assert row in report.read_text()


def test_a_cut_over_is_measured_in_each_region(tmp_path):
    report = tmp_path / "benchmarks.md"
    report.write_text(OTHER)

    run = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.capacity", "--report", str(report)),
            # No more than are provisioned, so that none starts, however slow this machine is.
            *("--seconds", "2", "--rate", "10", "--duration", "0.3", "--provisioned", "20"),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )

    assert run.returncode == 0, run.stderr
    assert report.read_text().startswith(f"{OTHER}\n# A Region that takes over, by its capacity\n")
    rows = {
        name: cells
        for name, *cells in (
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in report.read_text().splitlines()
            if line.startswith("| ")
        )
    }
    # What the model decides, whatever this machine needs: throttles, and no cold start.
    assert int(rows["pre-scaled"][6]) == 0
    assert int(rows["cold"][6]) > 0
    assert int(rows["quota of one invocation at once"][7]) > 0
    assert rows["throttle of half the rate"][0] == "20"
    assert rows["cold"][1] == rows["pre-scaled"][1] == "0.0 %"
