"""Where split assemblies are kept, and what makes one of them worthy of trust.

An entry is a folder of three files: the kernel's tarball, `submodules.bin` and `index.json`. Its
name says what it was made from: package and version, the checksum of the stock assembly, and the
checksum of the code that made it together with the jsii runtime that reads it. An entry holds every
submodule, so it serves every program, whatever resources that one uses.
"""

import atexit
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsii

CACHE_VARIABLE = "FAILOVER_BINDINGS_CACHE"
_INDEX, _SUBMODULES = "index.json", "submodules.bin"
_MADE_BY = ("assembly.py", "cache.py", "kernel.cjs")


@dataclass(frozen=True)
class Place:
    """Where the content of a submodule stands in `submodules.bin`.

    Attributes:
        offset: First byte.
        length: Bytes.
        checksum: CRC-32 of them.
    """

    offset: int
    length: int
    checksum: int


class Entry:
    """A split assembly on disk, checked as far as it has been used."""

    def __init__(
        self,
        folder: Path,
        *,
        stock: Path,
        assembly: tuple[str, str],
        submodules: Mapping[str, Place],
    ) -> None:
        """Trusts the folder: `prepare` gives entries that were checked.

        Args:
            folder: Holds the three files.
            stock: The tarball that it was made from.
            assembly: Name and version of the assembly.
            submodules: `{name in jsii: place}`.
        """
        self.folder = folder
        self.submodules = submodules
        self.assembly = assembly
        self._stock = stock

    def check(self, submodules: Collection[str]) -> None:
        """Checks bytes before the kernel reads them, and makes the entry anew if they are damaged.

        Args:
            submodules: Names in jsii, such as `route53Record`.

        Raises:
            UnknownLayoutError: The entry was damaged and the stock assembly cannot be split.
        """
        if not all(map(self._is_sound, submodules)):
            self.folder = _build(self.folder, self._stock, trusted=_never).folder

    def _is_sound(self, submodule: str) -> bool:
        place = self.submodules[submodule]
        try:
            with (self.folder / _SUBMODULES).open("rb") as file:
                file.seek(place.offset)
                return zlib.crc32(file.read(place.length)) == place.checksum
        except OSError:
            return False

    @property
    def tarball(self) -> Path:
        """What the kernel loads."""
        return self.folder / self._stock.name


def prepare(package: str, stock: Path, *, announce: Callable[[str], None]) -> Entry:
    """The entry for a provider: the cached one, or one that is made now.

    Args:
        package: Python package of the provider, such as `cdktf_cdktf_provider_aws`.
        stock: Its stock tarball.
        announce: Told in a line what takes long, or does not last.

    Returns:
        An entry whose tarball and index are sound. Where the cache cannot be written, it stands in
        a temporary folder until the program ends.

    Raises:
        UnknownLayoutError: The assembly cannot be split.
    """
    folder = cache_folder() / f"{package}-{_version(stock)}-{_key(stock)}"
    entry = _read_entry(folder, stock)
    if entry:
        return entry
    announce(f"preparing {package}: once for each version, in {folder.parent}")
    return _build(folder, stock, trusted=_read_entry, announce=announce)


def cache_folder() -> Path:
    """The folder that holds the entries: FAILOVER_BINDINGS_CACHE, or the user's cache folder."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cdktf-bindings"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cdktf-bindings"


def _version(stock: Path) -> str:
    """From a name such as `provider-aws@21.22.1.jsii.tgz`."""
    return stock.name.removesuffix(".jsii.tgz").rpartition("@")[2]


def _key(stock: Path) -> str:
    """Checksum of the stock assembly, of the code here, and of the jsii runtime's version."""
    digest = hashlib.sha256(_checksum(stock).encode())
    digest.update(jsii.__jsii_runtime_version__.encode())
    for name in _MADE_BY:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:32]


def _checksum(stock: Path) -> str:
    """SHA-256 of the tarball, remembered for as long as the file is untouched."""
    status = stock.stat()
    identity = f"{stock} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    known = cache_folder() / "checksums" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    with contextlib.suppress(OSError):
        checksum = known.read_text()
        if len(checksum) == hashlib.sha256().digest_size * 2 and _is_ours(known):
            return checksum
    with stock.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    with contextlib.suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(known, checksum.encode())
    return checksum


def _is_ours(path: Path) -> bool:
    """Whether nobody but this user and root can have written it: it is code that will run."""
    status = path.stat()
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022


def _read_entry(folder: Path, stock: Path) -> Entry | None:
    """The entry, if it is complete and nobody else's."""
    try:
        index = json.loads((folder / _INDEX).read_bytes())
        sound = (
            index["tarball"] == hashlib.sha256((folder / stock.name).read_bytes()).hexdigest()
            and index["size"] == (folder / _SUBMODULES).stat().st_size
            and all(_is_ours(path) for path in (folder, *folder.iterdir()))
        )
        places = {
            name: Place(place["offset"], place["length"], place["checksum"])
            for name, place in index["submodules"].items()
        }
        assembly = (index["assembly"], index["version"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Entry(folder, stock=stock, assembly=assembly, submodules=places) if sound else None


def _never(folder: Path, stock: Path) -> None:
    """Trusts no entry: one of them was found damaged."""


def _build(
    folder: Path,
    stock: Path,
    *,
    trusted: Callable[[Path, Path], Entry | None],
    announce: Callable[[str], None] = lambda _: None,
) -> Entry:
    """Makes the entry, unless another process has made it meanwhile."""
    try:
        with _alone(folder):
            entry = trusted(folder, stock)
            if entry is None:
                _write_entry(folder, stock)
    except OSError as error:
        announce(
            f"{folder.parent} cannot be written ({error.strerror}), so every run prepares anew: "
            f"set {CACHE_VARIABLE} to a folder that can"
        )
        folder = Path(tempfile.mkdtemp(prefix="cdktf-bindings-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _write_entry(folder, stock)
    entry = _read_entry(folder, stock)
    if entry is None:
        raise OSError(f"{folder} is not what was written a moment ago: set {CACHE_VARIABLE}")
    return entry


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time makes an entry; the others wait, and find it made."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write_entry(folder: Path, stock: Path) -> None:
    """Splits the stock assembly. The index comes last: without it there is no entry."""
    # Needed once for each version, so not at the top.
    from constructs_lib.bindings.assembly import split

    parts = split(stock)
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    for leftover in folder.glob(".*"):  # of a process that was killed here
        leftover.unlink()
    submodules: dict[str, Any] = {}
    offset = 0
    for name, content in parts.submodules.items():
        submodules[name] = {
            "offset": offset,
            "length": len(content),
            "checksum": zlib.crc32(content),
        }
        offset += len(content)
    index = {
        "assembly": parts.name,
        "version": parts.version,
        "tarball": hashlib.sha256(parts.tarball).hexdigest(),
        "size": offset,
        "submodules": submodules,
    }
    _write(folder / stock.name, parts.tarball)
    _write(folder / _SUBMODULES, b"".join(parts.submodules.values()))
    _write(folder / _INDEX, json.dumps(index).encode())


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing."""
    file, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
