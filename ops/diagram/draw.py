"""`ops diagram`: draws what one environment will build.

Nothing is deployed or looked up: main.py synthesizes the environment, and its JSON is drawn.
"""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.diagram.image import image_of
from ops.diagram.model import Model
from ops.diagram.reading import read
from ops.errors import ExitCode, OpsError
from ops.synthesis import synthesize


@dataclass(frozen=True)
class Drawing:
    """A picture that was drawn.

    Attributes:
        path: The image.
        model: What it shows.
        source: The same in Graphviz's language; it stands in the image, too.
    """

    path: Path
    model: Model
    source: str


def draw(environment: str, output: Path) -> Drawing:
    """Draws one environment.

    Args:
        environment: Its name.
        output: The PNG file to write, in a folder that exists.

    Returns:
        What was drawn.

    Raises:
        OpsError: The environment cannot be synthesized, Graphviz is missing, or the file cannot be
            written.
    """
    # Only now: no other verb waits for it.
    from ops.diagram.graph import ICON_FOLDER, source_of

    model = read(synthesized(environment))
    source = source_of(model)
    image = image_of(source, icon_folder=ICON_FOLDER)
    try:
        output.write_bytes(image)
    except OSError as error:
        raise OpsError(
            f"{output} cannot be written: {error.strerror}",
            next_step="name another file with --output",
            exit_code=ExitCode.USAGE,
        ) from None
    return Drawing(output, model, source)


def synthesized(environment: str) -> dict[str, Any]:
    """The JSON that Terraform would get of an environment.

    Args:
        environment: Its name.

    Returns:
        The parsed JSON of its stack.

    Raises:
        OpsError: main.py cannot synthesize it.
    """
    with tempfile.TemporaryDirectory() as folder:
        synthesize(environment, Path(folder))
        stack: dict[str, Any] = json.loads(
            (Path(folder) / "stacks" / environment / "cdk.tf.json").read_text()
        )
        return stack
