"""Where split assemblies are kept, and what makes one of them worthy of trust.

An entry is a folder of three files: the kernel's tarball, `submodules.bin` and `index`, which
begins with the checksum of the rest of it. The folder's name says what the entry was made from:
package and version, and a checksum of the stock assembly, of the code that made it and of the jsii
runtime that reads it. An entry holds every submodule, so it serves every program, whatever
resources that one uses.
"""

import atexit
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jsii

from cdktf_bindings.errors import UnknownLayoutError

CACHE_VARIABLE = "FAILOVER_BINDINGS_CACHE"
_INDEX, _SUBMODULES = "index", "submodules.bin"
_MADE_BY = ("assembly.py", "cache.py", "kernel.cjs")
_LONGEST_WAIT_SECONDS = 120
"""Of a program for another one that makes the same entry."""


@dataclass(frozen=True)
class Place:
    """Where a submodule is in the cache entry.

    Attributes:
        module: Its Python module, such as `route53_record`.
        folder: Its folder below lib/, such as `route53-record`.
        offset: First byte in `submodules.bin`.
        length: Bytes there.
        checksum: CRC-32 of them.
    """

    module: str
    folder: str
    offset: int
    length: int
    checksum: int


@dataclass(frozen=True)
class Index:
    """What an entry holds.

    Attributes:
        assembly: Name of the assembly, such as `@cdktf/provider-aws`.
        version: Its version.
        tarball: SHA-256 of the kernel's tarball.
        size: Bytes of `submodules.bin`.
        submodules: `{name in jsii: place}`.
    """

    assembly: str
    version: str
    tarball: str
    size: int
    submodules: Mapping[str, Place]


class Entry:
    """A split assembly on disk, checked as far as it has been used."""

    def __init__(
        self, folder: Path, index: Index, *, stock: Path, announce: Callable[[str], None]
    ) -> None:
        """Trust the folder: `prepare` gives entries that were checked.

        Args:
            folder: Holds the three files.
            index: What it holds.
            stock: The tarball that it was made from.
            announce: Called with a line about what takes long.
        """
        self.folder = folder
        self.index = index
        self._stock = stock
        self._announce = announce

    def check(self, submodules: Collection[str]) -> bool:
        """Check bytes before the kernel reads them, and rebuild the entry if they are damaged.

        Args:
            submodules: Names in jsii, such as `route53Record`.

        Returns:
            Whether the entry was rebuilt: the kernel must read its index again.

        Raises:
            UnknownLayoutError: The entry was damaged and the stock assembly cannot be split.
        """
        if all(map(self._is_sound, submodules)):
            return False
        self._announce(f"{self.folder} was damaged and is rebuilt")
        made = _build(self.folder, self._stock, trust=False, announce=self._announce)
        self.folder, self.index = made.folder, made.index
        return True

    def _is_sound(self, submodule: str) -> bool:
        place = self.index.submodules[submodule]
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
        announce: Called with a line about what takes long, or does not last.

    Returns:
        An entry whose tarball and index are sound. If the cache cannot be written, it is in
        a temporary folder until the program ends.

    Raises:
        UnknownLayoutError: The assembly cannot be split.
    """
    folder = cache_folder() / f"{package}-{_version(stock)}-{_key(stock)}"
    entry = _read_entry(folder, stock, announce)
    if entry:
        return entry
    announce(f"preparing {package}: once for each version, in {folder.parent}")
    return _build(folder, stock, trust=True, announce=announce)


def cache_folder() -> Path:
    """The folder that holds the entries: FAILOVER_BINDINGS_CACHE, or the user's cache folder."""
    if chosen := os.environ.get(CACHE_VARIABLE):
        return Path(chosen).absolute()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "cdktf-bindings"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cdktf-bindings"


def _version(stock: Path) -> str:
    """From a name such as `provider-aws@21.22.1.jsii.tgz`."""
    return stock.name.removesuffix(".jsii.tgz").rpartition("@")[2]


def _key(stock: Path) -> str:
    """Checksum of the stock assembly and of all that decides what is made of it."""
    digest = hashlib.sha256(_checksum(stock).encode())
    digest.update(f"{jsii.__jsii_runtime_version__} {zlib.ZLIB_RUNTIME_VERSION}".encode())
    for name in _MADE_BY:
        digest.update(Path(__file__).with_name(name).read_bytes())
    return digest.hexdigest()[:32]


def _checksum(stock: Path) -> str:
    """SHA-256 of the tarball, remembered for as long as the file is untouched."""
    status = stock.stat()
    identity = f"{stock} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    known = cache_folder() / "checksums" / hashlib.sha256(identity.encode()).hexdigest()[:32]
    with contextlib.suppress(OSError, ValueError):
        checksum = known.read_text(encoding="ascii")
        if re.fullmatch("[0-9a-f]{64}", checksum) and _are_ours(cache_folder(), known):
            return checksum
    with stock.open("rb") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()
    with contextlib.suppress(OSError):
        known.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(known, checksum.encode())
    return checksum


def _are_ours(*paths: Path) -> bool:
    """Whether nobody but this user and root can have written there: it is code that will run."""
    return all(
        status.st_uid in (0, os.geteuid()) and not status.st_mode & 0o022 and not path.is_symlink()
        for path, status in ((path, path.lstat()) for path in paths)
    )


def _read_entry(folder: Path, stock: Path, announce: Callable[[str], None]) -> Entry | None:
    """The entry, if it is complete and nobody else's."""
    try:
        checksum, _, text = (folder / _INDEX).read_bytes().partition(b"\n")
        if checksum.decode() != hashlib.sha256(text).hexdigest():
            return None
        values = json.loads(text)
        places = {name: Place(**place) for name, place in values.pop("submodules").items()}
        index = Index(**values, submodules=places)
        sound = (
            index.tarball == hashlib.sha256((folder / stock.name).read_bytes()).hexdigest()
            and index.size == (folder / _SUBMODULES).stat().st_size
            and _are_ours(folder.parent, folder, *folder.iterdir())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return Entry(folder, index, stock=stock, announce=announce) if sound else None


def _build(folder: Path, stock: Path, *, trust: bool, announce: Callable[[str], None]) -> Entry:
    """Make the entry, unless another program has made it meanwhile and entries are trusted."""
    try:
        with _alone(folder):
            entry = _read_entry(folder, stock, announce) if trust else None
            if entry is None:
                _write_entry(folder, stock)
                entry = _read_entry(folder, stock, announce)
    except OSError as error:
        announce(
            f"{folder.parent} cannot be used ({error.strerror or error}), so every run prepares "
            f"again: set {CACHE_VARIABLE} to a folder that can"
        )
        folder = Path(tempfile.mkdtemp(prefix="cdktf-bindings-"), folder.name)
        atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
        _write_entry(folder, stock)
        entry = _read_entry(folder, stock, announce)
    if entry is None:
        raise UnknownLayoutError(f"{folder} is not what was written a moment ago")
    return entry


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One program at a time makes an entry; the others wait, and find it made."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not _are_ours(folder.parent) or folder.is_symlink():
        raise OSError("others can write there")
    lock = os.open(
        folder.parent / f"{folder.name}.lock", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600
    )
    try:
        deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError("another program holds its lock") from None
                time.sleep(0.05)
            except OSError:
                break  # No locks there: files are still written whole, only more than once.
            else:
                break
        yield
    finally:
        os.close(lock)


def _write_entry(folder: Path, stock: Path) -> None:
    """Split the stock assembly. The index comes last: without it there is no entry."""
    # Needed once for each version, so not at the top.
    from cdktf_bindings.assembly import split

    parts = split(stock)
    modules = _python_modules(stock.parent.parent, parts.name)
    if modules.keys() != parts.submodules.keys():
        different = sorted(modules.keys() ^ parts.submodules.keys())
        raise UnknownLayoutError(f"not both a module and a submodule: {', '.join(different[:3])}")
    folder.mkdir(exist_ok=True)
    folder.chmod(0o700)
    for name in (stock.name, _SUBMODULES, _INDEX):
        for leftover in folder.glob(f".{name}.*"):  # of a program that was killed here
            leftover.unlink()
    places: dict[str, Mapping[str, str | int]] = {}
    offset = 0
    for name, submodule in parts.submodules.items():
        places[name] = {
            "module": modules[name],
            "folder": submodule.folder,
            "offset": offset,
            "length": len(submodule.content),
            "checksum": zlib.crc32(submodule.content),
        }
        offset += len(submodule.content)
    index = json.dumps(
        {
            "assembly": parts.name,
            "version": parts.version,
            "tarball": hashlib.sha256(parts.tarball).hexdigest(),
            "size": offset,
            "submodules": places,
        }
    ).encode()
    _write(folder / stock.name, parts.tarball)
    _write(folder / _SUBMODULES, b"".join(s.content for s in parts.submodules.values()))
    _write(folder / _INDEX, hashlib.sha256(index).hexdigest().encode() + b"\n" + index)


def _python_modules(package: Path, assembly: str) -> dict[str, str]:
    """`{name in jsii: Python module}`, by the types that the modules define."""
    type_name = re.compile(rf'jsii_type="{re.escape(assembly)}\.(\w+)\.'.encode())
    found = {}
    for source in sorted(package.glob("*/__init__.py")):
        if source.parent.name == "_jsii":
            continue
        match = type_name.search(source.read_bytes())
        found[match[1].decode() if match else source.parent.name] = source.parent.name
    return found


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
