"""Keeps releases in the bucket of the Terraform state, for every machine that deploys.

Conditional writes keep two machines from replacing each other's history.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ops.aws import client_of, session_for
from ops.deploy.shelf import ChangedError, FolderShelf, Kept, Shelf
from ops.environment_file import EnvironmentFile, environments_folder
from ops.errors import OpsError, explain, next_step_for
from ops.stacks import releases_prefix
from ops.state_bucket import in_workspace

_NOT_FOUND = ("404", "NoSuchKey")
_CONFLICT = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")


def shelf_of(environment: str, folder: Path, endpoint_url: str | None = None) -> Shelf:
    """Find where the releases of an environment are kept: beside its state.

    Args:
        environment: Name of the environment.
        folder: What `--folder` names; used if the state is in files, or the environment file is
            not on this machine.
        endpoint_url: URL of the services of a sandbox; None for AWS.
    """
    path = environments_folder() / f"{environment}.toml"
    backend = EnvironmentFile(path).backend if path.is_file() else {}
    if backend.get("type") != "s3":
        return FolderShelf.of(folder, environment)
    region = backend["region"]
    return BucketShelf(
        client_of(session_for(endpoint_url, region), "s3", region, endpoint_url),
        backend["bucket"],
        in_workspace(releases_prefix(backend["key"])),
    )


@dataclass(frozen=True)
class BucketShelf:
    """Objects in a bucket, below a prefix.

    Attributes:
        s3: Client of S3 in the bucket's Region.
        bucket: Name of the bucket.
        prefix: What the keys begin with; it ends in `/`.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """

    s3: Any
    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    @property
    def is_shared(self) -> bool:
        """Every machine with permissions uses it."""
        return True

    def read(self, name: str) -> Kept | None:
        """Read an object."""
        with self._explained(f"{self}{name} cannot be read"):
            try:
                found = self.s3.get_object(Bucket=self.bucket, Key=self.prefix + name)
                return Kept(found["Body"].read(), found.get("ETag", ""))
            except ClientError as error:
                if _code(error) in _NOT_FOUND:
                    return None
                raise

    def write(self, name: str, content: bytes, version: str | None) -> str:
        """Write an object if it still has the version."""
        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        with self._explained(f"{self}{name} cannot be written"):
            try:
                written = self.s3.put_object(
                    Bucket=self.bucket, Key=self.prefix + name, Body=content, **condition
                )
                # A proxy's page has none.
                if "ETag" in written:
                    return str(written["ETag"])
            except ClientError as error:
                if _code(error) not in (*_CONFLICT, *_NOT_FOUND):
                    raise
        # An earlier attempt may have succeeded, and its response was lost.
        found = self.read(name)
        if found is None or found.content != content:
            raise ChangedError(f"{self}{name}")
        return found.version

    def names(self, folder: str) -> list[str]:
        """List objects."""
        with self._explained(f"{self}{folder} cannot be listed"):
            pages = self.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.prefix + folder
            )
            return [
                each["Key"].removeprefix(self.prefix)
                for page in pages
                for each in page.get("Contents", ())
            ]

    def remove(self, name: str) -> None:
        """Delete an object; a versioned bucket keeps it as an old version."""
        with self._explained(f"{self}{name} cannot be deleted"):
            self.s3.delete_object(Bucket=self.bucket, Key=self.prefix + name)

    @contextmanager
    def _explained(self, problem: str) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError) as error:
            raise OpsError(
                f"{problem}: {explain(error)}",
                next_step=next_step_for(error),
            ) from error


def _code(error: ClientError) -> str:
    return str(error.response["Error"]["Code"])
