"""What a lock file pins is installed, and nothing else; the reader's pip says from where."""

import hashlib
import json
import os
import subprocess
import sys
import venv
import zipfile

import pytest
from repository_files import REPOSITORY

from scripts import install


def wheel(folder, name):
    """A package of one empty module in a folder, and its hash."""
    files = {
        f"{name}.py": "",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
    }
    record = f"{name}-1.0.dist-info/RECORD"
    files[record] = "".join(f"{path},,\n" for path in (*files, record))
    archive = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(archive, "w") as contents:
        for path, text in files.items():
            contents.writestr(path, text)
    return f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"


@pytest.fixture
def sync(tmp_path):
    """Installs a lock file's packages from a folder that pip's settings name."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)

    def run(**hashes):
        entries = {
            name: {"version": "==1.0", "hashes": [digest]} for name, digest in hashes.items()
        }
        lock = tmp_path / "Pipfile.lock"
        lock.write_text(json.dumps({"default": {}, "develop": entries}))
        pip = {n: v for n, v in os.environ.items() if not n.startswith(("PIP_", "UV_"))}
        done = subprocess.run(
            [sys.executable, REPOSITORY / "scripts" / "install.py",
             "--lock", lock, "--environment", environment],
            env=pip | {"PIP_FIND_LINKS": str(tmp_path), "PIP_NO_INDEX": "1"},
            capture_output=True, text=True,
        )  # fmt: skip
        (packages,) = environment.glob("lib/python*/site-packages")
        return done, {path.stem for path in packages.glob("*.py")}

    return run


@pytest.mark.program
def test_what_is_pinned_is_installed_and_what_is_not_is_removed(tmp_path, sync):
    first, second = wheel(tmp_path, "first"), wheel(tmp_path, "second")

    for hashes in ({"first": first, "second": second}, {"second": second}):
        done, installed = sync(**hashes)
        assert done.returncode == 0, done.stderr
        assert installed == set(hashes)


@pytest.mark.program
def test_a_package_with_another_hash_is_refused(tmp_path, sync):
    wheel(tmp_path, "first")

    done, installed = sync(first=f"sha256:{'0' * 64}")

    assert done.returncode != 0
    assert "Hash mismatch" in done.stderr
    assert "Traceback" not in done.stderr
    assert installed == set()


@pytest.mark.unit
def test_markers_and_every_hash_are_required():
    entry = {"version": "==2.0", "markers": "python_version >= '3.10'", "hashes": ["a:1", "a:2"]}

    assert install.requirement("some", entry) == (
        "some==2.0 ; python_version >= '3.10' --hash=a:1 --hash=a:2\n"
    )


@pytest.mark.unit
def test_pips_settings_become_uvs():
    options, variables = install.uv_settings(
        "global.index-url='https://everybody.test/simple'\n"
        "install.index-url='https://mine.test/simple'\n"
        "global.extra-index-url='https://one.test https://two.test'\n"
        "global.find-links='/of/the/file'\n"
        ":env:.find-links='/here /there'\n"
        ":env:.no-index='true'\n"
        "global.constraint='/never/mind'\n"
    )

    assert options == ["--no-index"]
    assert variables == {
        "UV_DEFAULT_INDEX": "https://mine.test/simple",
        "UV_INDEX": "https://one.test https://two.test",
        "UV_FIND_LINKS": "/here,/there",
    }
    assert install.uv_settings("") == ([], {})


@pytest.mark.unit
@pytest.mark.parametrize("folder", [REPOSITORY, REPOSITORY / "scans"], ids=lambda path: path.name)
def test_both_sections_of_a_lock_file_pin_the_same_versions(folder):
    lock = json.loads((folder / "Pipfile.lock").read_text())

    both = lock["default"].keys() & lock["develop"].keys()
    assert [n for n in both if lock["default"][n]["version"] != lock["develop"][n]["version"]] == []
    assert lock["_meta"]["sources"] == []
