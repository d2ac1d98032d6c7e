"""The image file: Graphviz draws it, and what it was drawn from stands in it.

So whoever looks for changes compares that, whatever version of Graphviz drew the image.
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
"""What every PNG file begins with: its signature and size."""


def image_of(source: str, *, icon_folder: Path) -> bytes:
    """Draws the image.

    Args:
        source: The picture in Graphviz's language.
        icon_folder: Where the icons are that it names.

    Returns:
        A PNG file, with the source in it.

    Raises:
        OpsError: Graphviz is missing, or cannot draw it.
    """
    if shutil.which("dot") is None:
        raise OpsError(
            "dot, the program of Graphviz, is not on the PATH",
            next_step="install it: apt-get install graphviz, or brew install graphviz",
        )
    done = subprocess.run(
        ["dot", "-Tpng"],
        cwd=icon_folder,
        input=source.encode(),
        capture_output=True,
    )
    if done.returncode:
        raise OpsError(
            f"dot -Tpng failed:\n{done.stderr.decode(errors='replace').strip()}",
            next_step="install a newer Graphviz; 2.43 is known to draw it",
        )
    return _with_source(done.stdout, source)


def source_in(image: bytes) -> str:
    """What an image was drawn from.

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
