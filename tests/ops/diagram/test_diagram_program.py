"""`python -m ops diagram` as users run it."""

import os
import shutil
import struct
import subprocess
import sys

import pytest
from prerequisites import require_graphviz
from repository_files import REPOSITORY

from ops import __main__ as program
from ops.cli import diagram
from ops.diagram.graph import ICON_FOLDER, source_of
from ops.diagram.image import image_of, source_in
from ops.diagram.reading import read
from ops.errors import ExitCode


@pytest.fixture
def graphviz():
    require_graphviz()


def run(*arguments, folder, **environment):
    return subprocess.run(
        [sys.executable, "-m", "ops", "diagram", *map(str, arguments)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)} | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.program
def test_an_environment_is_drawn_into_this_folder(graphviz, tmp_path, example):
    done = run("--environment", "example", folder=tmp_path)

    assert (done.returncode, done.stdout) == (ExitCode.PASSED, "example.png\n"), done.stderr
    assert source_in((tmp_path / "example.png").read_bytes()) == source_of(example)


@pytest.mark.program
def test_an_environment_of_another_folder_is_drawn(graphviz, tmp_path, stacks, latency_file):
    output = tmp_path / "three.png"
    environments = os.path.relpath(latency_file.parent, tmp_path)

    done = run("--environment", "latency", "--output", output, folder=tmp_path,
               FAILOVER_ENVIRONMENTS=environments)  # fmt: skip

    assert (done.returncode, done.stdout) == (ExitCode.PASSED, f"{output}\n"), done.stderr
    assert source_in(output.read_bytes()) == source_of(read(stacks["latency"]))


@pytest.mark.program
def test_an_unknown_environment_is_reported_with_the_known_ones(tmp_path):
    done = run("--environment", "nowhere", folder=tmp_path)

    assert done.returncode == ExitCode.USAGE
    assert "the environment file does not exist" in done.stderr
    assert "example, local" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.program
def test_an_image_is_large_enough_to_read_and_small_enough_to_show(graphviz, model):
    image = image_of(source_of(model), icon_folder=ICON_FOLDER)

    width, height = struct.unpack(">II", image[16:24])
    assert 1000 < width < 2400
    assert height < 2400
    assert len(image) < 500_000


@pytest.mark.program
def test_the_same_source_gives_the_same_bytes(graphviz, example):
    one, other = (image_of(source_of(example), icon_folder=ICON_FOLDER) for _ in range(2))

    assert one == other


@pytest.mark.program
def test_graphviz_finds_everything_it_needs(graphviz, model):
    done = subprocess.run(
        ["dot", "-Tpng"], cwd=ICON_FOLDER, input=source_of(model).encode(), capture_output=True
    )

    assert done.stderr.decode() == ""


@pytest.mark.unit
def test_missing_graphviz_is_reported_with_how_to_install_it(monkeypatch, stacks, tmp_path, capsys):
    monkeypatch.setattr(diagram, "synthesized", lambda environment: stacks[environment])
    monkeypatch.setattr(shutil, "which", lambda _: None)
    output = tmp_path / "example.png"

    code = program.main(["diagram", "--environment", "example", "--output", str(output)])

    assert code == ExitCode.PREREQUISITE
    assert "apt-get install graphviz, or brew install graphviz" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.unit
def test_a_file_that_cannot_be_written_is_wrong_usage(monkeypatch, stacks, tmp_path, capsys):
    monkeypatch.setattr(diagram, "synthesized", lambda environment: stacks[environment])
    monkeypatch.setattr(diagram, "image_of", lambda source, icon_folder: b"")
    output = tmp_path / "nowhere" / "example.png"

    code = program.main(["diagram", "--environment", "example", "--output", str(output)])

    assert code == ExitCode.USAGE
    assert f"{output} cannot be written: No such file or directory" in capsys.readouterr().err


@pytest.mark.program
def test_no_other_command_imports_the_icons(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "import ops.__main__, sys; print('diagrams' in sys.modules)"],
        cwd=REPOSITORY, capture_output=True, text=True,
    )  # fmt: skip

    assert done.stdout == "False\n", done.stderr
