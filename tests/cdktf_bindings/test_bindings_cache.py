"""What the cache does for programs, and what it never does to them."""

import json
import os
import shutil
from pathlib import Path

import pytest
from provider_programs import INSTALL, NAMES, run, start, wait

pytestmark = pytest.mark.program

FILES = {"index", "submodules.bin", "provider-random@12.0.1.jsii.tgz"}
PREPARING = "bindings: preparing cdktf_cdktf_provider_random"


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """The JSON that the stock import gives."""
    return run(NAMES, tmp_path_factory.mktemp("stock")).stack("names")


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A cache that holds both small providers; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("filled")
    done = run(INSTALL + NAMES, folder / "program", FAILOVER_BINDINGS_CACHE=str(folder / "cache"))
    assert done.code == 0, done.errors
    return folder / "cache"


@pytest.fixture
def cache(filled, tmp_path):
    return Path(shutil.copytree(filled, tmp_path / "cache"))


def entry(cache: Path) -> Path:
    (found,) = cache.glob("cdktf_cdktf_provider_random-12.0.1-*[0-9a-f]")
    return found


def run_with(cache: Path, tmp_path: Path, source: str = INSTALL + NAMES):
    return run(source, tmp_path / "program", FAILOVER_BINDINGS_CACHE=str(cache))


def test_the_first_run_prepares_and_the_second_finds_it_prepared(tmp_path, stock):
    first = run_with(tmp_path / "cache", tmp_path)
    second = run_with(tmp_path / "cache", tmp_path)

    assert PREPARING in first.errors
    assert second.errors == ""
    assert first.stack("names") == second.stack("names") == stock


def test_an_entry_serves_programs_that_use_other_resources(cache, tmp_path):
    done = run_with(
        cache, tmp_path, INSTALL + NAMES.replace("pet import Pet", "shuffle import Shuffle as Pet")
        .replace("length=2, keepers={\"colour\": \"grey\"}", "input=['a', 'b']"),
    )  # fmt: skip

    assert done.errors == ""
    assert done.resources("names")["random_shuffle"]


def test_programs_that_start_at_once_make_one_sound_entry(tmp_path, stock):
    # GIVEN no cache
    folders = [tmp_path / f"program{number}" for number in range(4)]

    # WHEN four programs need one
    running = [
        start(INSTALL + NAMES, folder, FAILOVER_BINDINGS_CACHE=str(tmp_path / "cache"))
        for folder in folders
    ]
    done = [wait(process, folder) for process, folder in zip(running, folders, strict=True)]

    # THEN all are right, and what they leave behind is
    assert [program.stack("names") for program in done] == [stock] * 4
    assert run_with(tmp_path / "cache", tmp_path).errors == ""
    assert {path.name for path in entry(tmp_path / "cache").iterdir()} == FILES


def change_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_every_submodule(folder: Path) -> None:
    """The size stays, and so do the index and the tarball."""
    path = folder / "submodules.bin"
    path.write_bytes(bytes(byte ^ 0xFF for byte in path.read_bytes()))


def rewrite_index(folder: Path, before: bytes, after: bytes) -> None:
    """Another text under the old checksum."""
    path = folder / "index"
    assert before in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(before, after))


DAMAGES = {
    "torn submodules": lambda folder: tear(folder / "submodules.bin"),
    "changed submodules": change_every_submodule,
    "no submodules": lambda folder: (folder / "submodules.bin").unlink(),
    "torn index": lambda folder: tear(folder / "index"),
    "an index of something else": lambda folder: (folder / "index").write_text("[1, 2]"),
    "an empty index": lambda folder: (folder / "index").write_text(""),
    "another name in the index": lambda folder: rewrite_index(folder, b'"pet"', b'"pat"'),
    "another place in the index": lambda folder: rewrite_index(
        folder, b'"offset": ', b'"offset": 1'
    ),
    "another assembly in the index": lambda folder: rewrite_index(folder, b"12.0.1", b"12.0.2"),
    "a changed tarball": lambda folder: change_a_byte(next(folder.glob("*.tgz"))),
    "no tarball": lambda folder: next(folder.glob("*.tgz")).unlink(),
    "an empty folder": lambda folder: [path.unlink() for path in folder.iterdir()],
    "left by a killed process": lambda folder: (folder / "index").rename(folder / ".index.x"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_entry_is_rebuilt(cache, tmp_path, stock, damage):
    DAMAGES[damage](entry(cache))

    assert run_with(cache, tmp_path).stack("names") == stock

    again = run_with(cache, tmp_path)
    assert (again.errors, again.stack("names")) == ("", stock)
    assert {path.name for path in entry(cache).iterdir()} == FILES


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_an_entry_that_others_can_write_is_rebuilt(cache, tmp_path, stock, mode):
    # GIVEN an entry that somebody else could have put there, with code of theirs
    entry(cache).chmod(mode)
    change_every_submodule(entry(cache))

    done = run_with(cache, tmp_path)

    assert PREPARING in done.errors
    assert done.stack("names") == stock
    assert entry(cache).stat().st_mode & 0o777 == 0o700


def test_a_cache_that_cannot_be_made_costs_a_warning(tmp_path, stock):
    (tmp_path / "file").write_text("no folder")

    done = run_with(tmp_path / "file" / "cache", tmp_path)

    assert done.stack("names") == stock
    assert "cannot be used (Not a directory), so every run prepares again" in done.errors
    assert "set FAILOVER_BINDINGS_CACHE" in done.errors


def test_a_cache_that_others_can_write_is_not_used(cache, tmp_path, stock):
    cache.chmod(0o777)
    change_every_submodule(entry(cache))

    done = run_with(cache, tmp_path)

    assert done.stack("names") == stock
    assert "cannot be used (others can write there)" in done.errors


def test_a_link_in_the_place_of_an_entry_is_not_followed(cache, tmp_path, stock):
    # GIVEN an entry that is a link to somebody's folder
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / ".profile").write_text("mine")
    folder = entry(cache)
    shutil.rmtree(folder)
    folder.symlink_to(home)

    done = run_with(cache, tmp_path)

    assert done.stack("names") == stock
    assert [path.name for path in home.iterdir()] == [".profile"]
    assert home.stat().st_mode & 0o777 == 0o755


def test_a_link_in_the_place_of_a_lock_is_not_followed(cache, tmp_path, stock):
    (tmp_path / "mine").write_text("mine")
    (lock,) = cache.glob("cdktf_cdktf_provider_random-*.lock")
    lock.unlink()
    lock.symlink_to(tmp_path / "mine")
    (entry(cache) / "index").unlink()

    assert run_with(cache, tmp_path).stack("names") == stock
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_damaged_checksum_is_rebuilt(cache, tmp_path, stock):
    for path in (cache / "checksums").iterdir():
        path.write_bytes(b"\xff\xfe")

    done = run_with(cache, tmp_path)

    assert (done.stack("names"), done.errors) == (stock, "")
    assert all(len(path.read_text()) == 64 for path in (cache / "checksums").iterdir())


# Root may write everywhere, until it gives that up.
UNDER = (
    ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
    if os.geteuid() == 0
    else ()
)


@pytest.mark.parametrize(
    ("damage", "warnings"), [(None, 0), ("changed submodules", 2), ("torn index", 2)]
)
def test_a_cache_that_may_only_be_read_is_read(cache, tmp_path, stock, damage, warnings):
    # GIVEN a cache that is sound, damaged in what is read late, or damaged in what is read first
    if damage:
        DAMAGES[damage](entry(cache))
    for path in (*cache.rglob("*"), cache):
        path.chmod(0o555 if path.is_dir() else 0o444)

    # WHEN a program runs
    done = run(
        INSTALL + NAMES, tmp_path / "program", under=UNDER, FAILOVER_BINDINGS_CACHE=str(cache)
    )

    # THEN it is right, and reports whether every run will take as long
    assert done.stack("names") == stock
    assert done.errors.count("bindings: ") == warnings


def test_the_stock_import_neither_reads_nor_writes_a_cache(tmp_path, stock):
    done = run(
        INSTALL + NAMES + "print(type(__import__('jsii').kernel.provider).__name__)",
        tmp_path / "program",
        FAILOVER_BINDINGS_CACHE=str(tmp_path / "cache"),
        FAILOVER_BINDINGS="stock",
    )

    assert (done.stack("names"), done.errors, done.output) == (stock, "", "ProcessProvider\n")
    assert not (tmp_path / "cache").exists()


def test_an_entry_names_what_it_was_made_from(cache):
    index = json.loads((entry(cache) / "index").read_text().partition("\n")[2])

    assert (index["assembly"], index["version"]) == ("@cdktf/provider-random", "12.0.1")
    assert index["submodules"]["stringResource"]["module"] == "string_resource"
