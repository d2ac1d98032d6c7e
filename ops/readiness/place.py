"""Where the records of an environment's drills are kept: where its releases are."""

from ops.aws import client_of, session_for
from ops.deploy.bucket import BucketShelf, shelf_of
from ops.deploy.shelf import Shelf
from ops.environment import Environment
from ops.stacks import releases_prefix
from ops.state_bucket import in_workspace


def shelf_for(environment: Environment) -> Shelf:
    """Find the place: beside the state in S3, as the outputs name it, or a folder.

    Args:
        environment: The environment; its file need not be on this machine.
    """
    state, endpoint_url = environment.outputs.state, environment.descriptor.endpoint_url
    if state is None:
        return shelf_of(environment.name, environment.folder, endpoint_url)
    return BucketShelf(
        client_of(session_for(endpoint_url, state.region), "s3", state.region, endpoint_url),
        state.bucket,
        in_workspace(releases_prefix(state.key)),
    )
