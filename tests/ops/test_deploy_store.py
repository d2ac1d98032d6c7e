"""Releases and their history are kept in a folder, or beside the state in a bucket."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fake_environment import Canned
from moto import mock_aws

from ops.__main__ import main
from ops.aws import client_of, session_for
from ops.cli.deploy_session import is_over
from ops.deploy.bucket import BucketShelf, shelf_of
from ops.deploy.record import History, Outcome, Record
from ops.deploy.run import refuse_unfinished
from ops.deploy.shelf import ChangedError, FolderShelf
from ops.deploy.store import ReleaseStore
from ops.errors import ExitCode, OpsError
from ops.processes import Program

pytestmark = pytest.mark.unit

NAMES = ("x-data", "x-west")
BUCKET = "states"


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        client = client_of(session_for(None, "us-east-1"), "s3", "us-east-1", None)
        client.create_bucket(Bucket=BUCKET)
        yield client


@pytest.fixture(params=["folder", "bucket"])
def shelf(request, tmp_path):
    if request.param == "folder":
        return FolderShelf.of(tmp_path / "local", "x")
    return BucketShelf(request.getfixturevalue("s3"), BUCKET, "api/trial-releases/")


def record(run, **more):
    return Record(
        run=run, kind="deploy", release="r", targets={"x-west": run}, before={}, begun="then",
        user="somebody", host="elsewhere", revision="abc", bake_seconds=1.0,
        program=Program(2**31 - 1, 0.0), **more,
    )  # fmt: skip


def synthesizes(folder, text):
    folders = []
    for name in NAMES:
        stack = folder / name
        (stack / "assets").mkdir(parents=True, exist_ok=True)
        (stack / "cdk.tf.json").write_text(f"{name} {text}")
        (stack / "assets" / "archive.zip").write_bytes(b"\x00\xff" + text.encode())
        (stack / ".terraform").mkdir(exist_ok=True)
        (stack / ".terraform" / "provider").write_text("installed")
        folders.append(stack)
    return folders


def test_what_is_written_is_read_listed_and_removed(shelf):
    assert shelf.read("kept/a") is None
    assert shelf.names("kept/") == []

    version = shelf.write("kept/a", b"\x00one", None)
    shelf.write("history.json", b"{}", None)

    assert (shelf.read("kept/a").content, shelf.read("kept/a").version) == (b"\x00one", version)
    assert shelf.names("kept/") == ["kept/a"]
    shelf.remove("kept/a")
    assert shelf.read("kept/a") is None
    shelf.remove("kept/a")


def test_only_the_version_that_was_read_is_replaced(shelf):
    first = shelf.write("a", b"one", None)
    second = shelf.write("a", b"two", first)

    for stale in (first, None):
        with pytest.raises(ChangedError, match="a was not written: somebody else has written it"):
            shelf.write("a", b"three", stale)
    assert shelf.read("a").content == b"two"
    shelf.write("a", b"three", second)


def test_of_two_machines_that_begin_at_once_one_is_refused(shelf):
    one, other = History.read(shelf), History.read(shelf)
    one.records.append(record("one"))
    one.write()
    other.records.append(record("other"))

    with pytest.raises(ChangedError) as refused:
        other.write()

    assert refused.value.exit_code is ExitCode.CHECK_FAILED
    assert [each.run for each in History.read(shelf).records] == ["one"]
    other.refresh()
    other.records.append(record("other"))
    other.write()
    assert [each.run for each in History.read(shelf).records] == ["one", "other"]


def test_a_write_whose_response_was_lost_has_succeeded(s3):
    class LosesResponses:
        def __getattr__(self, name):
            return getattr(s3, name)

        def put_object(self, **given):
            s3.put_object(**given)
            # As a client that tries again.
            return s3.put_object(**given)

    shelf = BucketShelf(LosesResponses(), BUCKET, "api/")
    version = shelf.write("a", b"one", None)

    version = shelf.write("a", b"two", version)

    assert (shelf.read("a").content, shelf.read("a").version) == (b"two", version)


def test_a_response_that_is_not_of_s3_is_no_success():
    nothing = ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
    shelf = BucketShelf(Canned(put_object={}, get_object=nothing), BUCKET, "api/")

    with pytest.raises(ChangedError):
        shelf.write("a", b"one", None)


@pytest.mark.parametrize("content", [{"version": 99}, [], {"version": 1}])
def test_a_history_that_cannot_be_understood_is_not_replaced(shelf, content):
    shelf.write("history.json", json.dumps(content).encode(), None)

    with pytest.raises(OpsError, match=r"history\.json in .* cannot be understood"):
        History.read(shelf)


def test_a_release_is_named_after_its_content_and_kept_once(shelf, tmp_path):
    store, folders = ReleaseStore(shelf), synthesizes(tmp_path, "one")
    one = store.add(folders)
    (folders[1] / "terraform.tfstate").write_text("secret")
    (folders[1] / ".terraform" / "provider").write_text("another")

    assert ReleaseStore(shelf).add(folders) == one
    assert shelf.names("kept/") == [f"kept/{one}.zip"]
    assert store.add(synthesizes(tmp_path, "two")) != one
    with zipfile.ZipFile(io.BytesIO(shelf.read(f"kept/{one}.zip").content)) as kept:
        assert sorted(kept.namelist()) == [
            f"{name}/{file}" for name in NAMES for file in ("assets/archive.zip", "cdk.tf.json")
        ]


def test_another_machine_restores_a_release(shelf, tmp_path):
    id = ReleaseStore(shelf).add(synthesizes(tmp_path / "one", "one"))
    store, empty = ReleaseStore(shelf), tmp_path / "other" / "x-west"

    assert store.has(id, "x-west")
    assert not store.has(id, "x-east")
    assert not store.has("", "x-west")
    store.restore(id, empty)

    assert (empty / "cdk.tf.json").read_text() == "x-west one"
    assert (empty / "assets" / "archive.zip").read_bytes() == b"\x00\xffone"


def test_restoring_removes_what_is_of_another_release_and_leaves_the_provider(shelf, tmp_path):
    store, folders = ReleaseStore(shelf), synthesizes(tmp_path, "one")
    one = store.add(folders)
    (folders[1] / "another.json").write_text("of another release")

    store.restore(one, folders[1])

    assert not (folders[1] / "another.json").exists()
    assert (folders[1] / ".terraform" / "provider").exists()


def test_a_release_that_was_changed_where_it_is_kept_is_not_deployed(shelf, tmp_path):
    id = ReleaseStore(shelf).add(synthesizes(tmp_path, "one"))
    name = f"kept/{id}.zip"
    kept = shelf.read(name)
    archive = io.BytesIO(kept.content)
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("x-west/more.tf", "provisioner")
    for changed in (archive.getvalue(), kept.content[:50], b""):
        version = shelf.write(name, changed, shelf.read(name).version)
        assert version

        with pytest.raises(OpsError, match=f"the release {id} in .* is damaged"):
            ReleaseStore(shelf).restore(id, tmp_path / "x-west")


def test_the_oldest_releases_are_removed_but_those_that_are_needed(shelf, tmp_path):
    store, history = ReleaseStore(shelf), History.read(shelf)
    ids = [store.add(synthesizes(tmp_path, str(number))) for number in range(5)]
    history.records = [record(id, outcome=Outcome.DEPLOYED) for id in ids]
    history.deployed = {"x-west": ids[0]}
    history.records[-1].before = {"x-west": ids[1]}

    store.prune(history.releases(2))

    assert set(shelf.names("kept/")) == {f"kept/{ids[n]}.zip" for n in (0, 1, 3, 4)}


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "AccessDenied"}}, "PutObject"),
        EndpointConnectionError(endpoint_url="x"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_named_with_the_next_step(error):
    operations = ("get_object", "put_object", "list_objects_v2", "delete_object")
    shelf = BucketShelf(Canned(**dict.fromkeys(operations, error)), BUCKET, "api/")
    for use in (
        lambda: shelf.read("a"),
        lambda: shelf.write("a", b"", None),
        lambda: shelf.names("a/"),
        lambda: shelf.remove("a"),
    ):
        with pytest.raises(OpsError, match=r"s3://states/api/a/? cannot be ") as raised:
            use()
        assert raised.value.next_step


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "file").touch()
    shelf = FolderShelf(tmp_path / "file")

    for use in (lambda: shelf.read("a"), lambda: shelf.write("a", b"", None)):
        with pytest.raises(OpsError, match="a cannot be read"):
            use()
    (tmp_path / "kept").mkdir()
    with pytest.raises(OpsError, match="kept cannot be removed"):
        FolderShelf(tmp_path).remove("kept")


@pytest.mark.parametrize(
    ("workspace", "prefix"),
    [("", "api/trial-releases/"), ("blue", "env:/blue/api/trial-releases/")],
)
def test_releases_are_beside_the_state(tmp_path, monkeypatch, workspace, prefix):
    monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(tmp_path))
    monkeypatch.setenv("TF_WORKSPACE", workspace)
    file = tmp_path / "trial.toml"
    local = FolderShelf.of(tmp_path, "trial")
    assert shelf_of("trial", tmp_path) == local
    file.write_text('backend = { type = "local" }\n')
    assert shelf_of("trial", tmp_path) == local

    file.write_text(
        'backend = { type = "s3", bucket = "states", key = "api/trial.tfstate", '
        'region = "eu-west-1" }\n'
    )
    found = shelf_of("trial", tmp_path)

    assert str(found) == f"s3://states/{prefix}"
    assert found.s3.meta.region_name == "eu-west-1"
    assert found.s3.meta.endpoint_url.endswith("amazonaws.com")
    assert shelf_of("trial", tmp_path, "http://127.0.0.1:1").s3.meta.endpoint_url == (
        "http://127.0.0.1:1"
    )


def test_whether_a_deployment_of_another_machine_runs_only_its_lock_shows(s3, tmp_path):
    unfinished = record("one")
    shared = History(BucketShelf(s3, BUCKET, "api/"), {}, [unfinished])
    local = History(FolderShelf.of(tmp_path, "x"), {}, [unfinished])

    assert not is_over(shared)
    assert is_over(local)
    with pytest.raises(OpsError, match="runs on elsewhere, or was interrupted") as refused:
        refuse_unfinished("x", shared, [])
    assert "wait for it, or finish it: python -m ops deploy resume" in str(refused.value)


def test_another_machine_sees_what_was_deployed(s3, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(tmp_path))
    (tmp_path / "trial.toml").write_text(
        f'backend = {{ type = "s3", bucket = "{BUCKET}", key = "trial.tfstate", '
        'region = "us-east-1" }\n'
    )
    shelf = shelf_of("trial", tmp_path / "one")
    History(shelf, {"x-west": "r"}, [record("one", outcome=Outcome.DEPLOYED)]).write()

    words = ("deploy", "status", "--environment", "trial", "--json")
    code = main([*words, "--folder", str(tmp_path / "other")])

    document = json.loads(capsys.readouterr().out)
    assert (code, document["deployed"]) == (ExitCode.PASSED, {"x-west": "r"})
    assert [each["run"] for each in document["deployments"]] == ["one"]
