"""The zip with the code of every function of an API.

Reproducible: sorted names, fixed times and modes, no compression (its output differs between zlib
builds), no bytecode. The same sources give the same bytes on any machine and after any checkout, so
that a plan shows a changed function only when its code has changed.
"""

import atexit
import base64
import hashlib
import io
import shutil
import tempfile
import zipfile
from pathlib import Path

from cdktf import AssetType, TerraformAsset
from constructs import Construct

_EARLIEST_TIME = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE_0644 = 0o100644 << 16
_UNIX = 3


class FunctionPackage(Construct):
    """A folder of Python sources as one Lambda deployment package.

    Third-party requirements are not installed: the functions use what the Lambda runtime brings,
    Python's standard library and boto3. What else lies in the folder is packed with it.
    """

    def __init__(self, scope: Construct, id: str, *, source: Path) -> None:
        """Pack the folder.

        Args:
            scope: The construct that owns the package.
            id: Unique within `scope`; it is part of the archive's path.
            source: The folder that becomes the root of the zip. Hidden files, bytecode and caches
                are left out.

        Raises:
            ValueError: `source` is not a folder, holds no file, or holds a symbolic link.
        """
        super().__init__(scope, id)
        archive = reproducible_zip(source)
        digest = hashlib.sha256(archive)
        self.modules = frozenset(path.stem for path in source.glob("*.py"))
        """Names of the modules at the root of the zip."""

        folder = Path(tempfile.mkdtemp(prefix="function-package-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        (folder / "functions.zip").write_bytes(archive)
        asset = TerraformAsset(
            self,
            "archive",
            path=str(folder / "functions.zip"),
            type=AssetType.FILE,
            asset_hash=digest.hexdigest()[:32],
        )
        self.path = asset.path
        """Path of the zip, relative to the synthesized stack."""
        self.sha256 = digest.hexdigest()
        """SHA-256 of the zip in hexadecimal."""
        self.source_code_hash = base64.b64encode(digest.digest()).decode()
        """The same in base64, as Lambda itself reports it."""


def reproducible_zip(source: Path) -> bytes:
    """Pack a folder into a zip whose bytes depend on names and contents alone.

    Args:
        source: The folder that becomes the root of the zip.

    Returns:
        The archive.

    Raises:
        ValueError: `source` is not a folder, holds no file, or holds a symbolic link.
    """
    if not source.is_dir():
        raise ValueError(f"{source} is not a folder: give the folder with the functions' modules")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(source.rglob("*"), key=lambda p: p.relative_to(source).as_posix()):
            name = path.relative_to(source)
            if path.suffix == ".pyc" or any(
                part.startswith(".") or part == "__pycache__" for part in name.parts
            ):
                continue
            if path.is_symlink():
                raise ValueError(f"{path} is a symbolic link: replace it by the file itself")
            if path.is_file():
                entry = zipfile.ZipInfo(name.as_posix(), _EARLIEST_TIME)
                entry.create_system = _UNIX
                entry.external_attr = _REGULAR_FILE_0644
                archive.writestr(entry, path.read_bytes())
        if not archive.namelist():
            raise ValueError(f"{source} holds no file: give the folder with the functions' modules")
    return buffer.getvalue()
