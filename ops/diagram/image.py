"""The image file, with the source that Graphviz drew it from.

To find changes, compare the sources: images differ between versions of Graphviz.
"""

import shutil
import struct
import subprocess
import zlib
from pathlib import Path

from ops.errors import OpsError

_CHUNK = b"iTXtGraphviz\0\1\0\0\0"
"""Type of the part of a PNG file that holds the source, and what precedes it: compressed UTF-8."""
_HEADER_BYTES = 33
"""Every PNG file begins with its signature and size."""


def image_of(source: str, *, icon_folder: Path) -> bytes:
    """Draw the image.

    Args:
        source: The diagram in Graphviz's language.
        icon_folder: Folder of the icons that it refers to.

    Returns:
        A PNG file that contains the source.

    Raises:
        OpsError: Graphviz is missing, or cannot draw it.
    """
    if shutil.which("dot") is None:
        raise OpsError(
            "dot (Graphviz) is not on the PATH",
            next_step="install it: apt-get install graphviz, or brew install graphviz",
        )
    done = subprocess.run(
        ["dot", "-Tpng"], cwd=icon_folder, input=source.encode(), capture_output=True
    )
    if done.returncode:
        raise OpsError(
            f"dot -Tpng failed:\n{done.stderr.decode(errors='replace').strip()}",
            next_step="install a newer Graphviz; 2.43 is known to work",
        )
    return _with_source(done.stdout, source)


def source_in(image: bytes) -> str:
    """Extract what an image was drawn from.

    Args:
        image: A PNG file that `image_of` made.
    """
    begin = image.index(_CHUNK) + len(_CHUNK)
    (length,) = struct.unpack(">I", image[begin - len(_CHUNK) - 4 : begin - len(_CHUNK)])
    return zlib.decompress(image[begin : begin - len(_CHUNK) + 4 + length]).decode()


def _with_source(image: bytes, source: str) -> bytes:
    content = _CHUNK + zlib.compress(source.encode())
    chunk = struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))
    return image[:_HEADER_BYTES] + chunk + image[_HEADER_BYTES:]
