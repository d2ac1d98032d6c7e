"""Records of drills: written once, in a chain; whatever is done to them afterwards is found."""

import base64
import hashlib
import json
import threading

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from drill_records import ARN, NAME, Signer, record
from fake_environment import WEST, Canned, environment
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from ops.aws import client_of, session_for
from ops.deploy.bucket import BucketShelf
from ops.deploy.shelf import FolderShelf
from ops.errors import ExitCode, OpsError
from ops.readiness import chain
from ops.readiness.chain import FOLDER, HEAD, DamagedError, append, name_of, read
from ops.readiness.record import canonical
from ops.readiness.signing import ALGORITHM, KmsKey, PublicKey

pytestmark = pytest.mark.unit

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
        return FolderShelf.of(tmp_path / "local", NAME)
    return BucketShelf(request.getfixturevalue("s3"), BUCKET, "api/trial-releases/")


@pytest.fixture
def folder(tmp_path):
    """The folder of four records, and where they are kept."""
    shelf = FolderShelf.of(tmp_path, NAME)
    for number in range(1, 5):
        append(shelf, record(f"drill-{number}"))
    return shelf


def problems(shelf):
    return read(shelf, NAME).problems


def test_records_are_read_in_the_order_in_which_they_were_written(shelf):
    assert read(shelf, NAME).links == []
    written = [append(shelf, record(f"drill-{number}")) for number in range(3)]

    found = read(shelf, NAME)

    assert found.links == written
    assert found.problems == []
    assert [link.sequence for link in found.links] == [1, 2, 3]
    assert [link.previous for link in found.links] == ["", written[0].digest, written[1].digest]
    assert found.head.record == record("drill-2")


def test_a_record_is_written_once(shelf):
    append(shelf, record("drill-1"))
    before = shelf.read(name_of(1)).content

    append(shelf, record("drill-2"))

    assert shelf.read(name_of(1)).content == before
    with pytest.raises(OpsError, match="was not written"):
        shelf.write(name_of(1), b"{}", None)


class Races:
    """A shelf on which others write a record just before this one does."""

    def __init__(self, shelf, others):
        self._shelf, self._others = shelf, others

    def __getattr__(self, name):
        return getattr(self._shelf, name)

    def __str__(self):
        return str(self._shelf)

    def write(self, name, content, version):
        if name != HEAD and self._others:
            append(self._shelf, self._others.pop())
        return self._shelf.write(name, content, version)


def test_drills_that_end_at_once_all_leave_a_record(shelf):
    append(shelf, record("first"))
    others = [record(f"other-{number}") for number in range(3)]

    link = append(Races(shelf, [*others]), record("mine"))

    found = read(shelf, NAME)
    assert found.problems == []
    assert link.sequence == 5
    assert [each.record.run for each in found.links] == [
        "first", "other-2", "other-1", "other-0", "mine",
    ]  # fmt: skip


class OneStepShelf(BucketShelf):
    """Compares and stores in one step, as S3 does; moto does it in two."""

    _lock = threading.Lock()

    def write(self, name, content, version):
        with self._lock:
            return super().write(name, content, version)


def test_threads_that_write_at_once_all_leave_a_record(s3):
    shelf = OneStepShelf(s3, BUCKET, "x/")
    threads = [
        threading.Thread(target=append, args=(shelf, record(f"drill-{number}")))
        for number in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = read(shelf, NAME)
    assert found.problems == []
    assert {each.record.run for each in found.links} == {f"drill-{n}" for n in range(6)}


class Dies(BaseException):
    pass


class Killed(Races):
    """A shelf on which a drill is killed before it names its record as the last one."""

    def write(self, name, content, version):
        if name == HEAD:
            raise Dies
        return self._shelf.write(name, content, version)


@pytest.mark.parametrize("before", [0, 2])
def test_a_record_whose_drill_was_killed_before_the_head_counts(shelf, before):
    for number in range(before):
        append(shelf, record(f"drill-{number}"))
    with pytest.raises(Dies):
        append(Killed(shelf, []), record("killed"))

    assert problems(shelf) == []
    append(shelf, record("next"))

    found = read(shelf, NAME)
    assert found.problems == []
    assert [each.record.run for each in found.links][before:] == ["killed", "next"]


def edit(shelf, name, change):
    path = shelf.folder / name
    values = json.loads(path.read_text())
    change(values)
    path.write_bytes(canonical(values))


def changed(shelf):
    edit(shelf, name_of(2), lambda values: values["record"].update(verdict="passed", fault="x"))


def changed_last(shelf):
    edit(shelf, name_of(4), lambda values: values["record"].update(verdict="failed"))


def removed(shelf):
    (shelf.folder / name_of(2)).unlink()


def removed_first(shelf):
    (shelf.folder / name_of(1)).unlink()


def removed_last(shelf):
    (shelf.folder / name_of(4)).unlink()


def removed_and_closed(shelf):
    """The third takes the place of the second, and the fourth that of the third."""
    for number in (2, 3):
        (shelf.folder / name_of(number + 1)).replace(shelf.folder / name_of(number))


def reordered(shelf):
    second, third = (shelf.folder / name_of(number) for number in (2, 3))
    one, other = second.read_bytes(), third.read_bytes()
    second.write_bytes(other)
    third.write_bytes(one)


def renumbered(shelf):
    """Two that change places, with their numbers changed as well."""
    reordered(shelf)
    for number in (2, 3):
        edit(shelf, name_of(number), lambda values, n=number: values.update(sequence=n))


def put_in(shelf):
    """A record between the second and the third, those behind it moved by one."""
    for number in (4, 3):
        (shelf.folder / name_of(number)).replace(shelf.folder / name_of(number + 1))
        edit(shelf, name_of(number + 1), lambda values, n=number: values.update(sequence=n + 1))
    values = json.loads((shelf.folder / name_of(2)).read_text())
    previous = read(shelf, NAME).links[1].digest
    values |= {"sequence": 3, "previous": previous}
    (shelf.folder / name_of(3)).write_bytes(canonical(values))


def foreign(shelf):
    edit(shelf, name_of(3), lambda values: values["record"].update(environment="other"))


def not_json(shelf):
    (shelf.folder / name_of(3)).write_text("{")


def without_a_member(shelf):
    edit(shelf, name_of(3), lambda values: values["record"].pop("rto"))


def without_a_head(shelf):
    (shelf.folder / HEAD).unlink()


def another_head(shelf):
    edit(shelf, HEAD, lambda values: values.update(sequence=2))


def a_head_that_is_none(shelf):
    (shelf.folder / HEAD).write_text("[]")


def a_file_of_another_name(shelf):
    (shelf.folder / FOLDER / "5.json").write_bytes((shelf.folder / name_of(4)).read_bytes())


TAMPERED = (
    *(changed, changed_last, removed, removed_first, removed_last, removed_and_closed, reordered),
    *(renumbered, put_in, foreign, not_json, without_a_member, without_a_head, another_head),
    *(a_head_that_is_none, a_file_of_another_name),
)


def test_untouched_records_have_no_problem(folder):
    assert problems(folder) == []


@pytest.mark.parametrize("tamper", TAMPERED, ids=lambda each: each.__name__)
def test_what_was_done_to_the_records_is_found(folder, tamper):
    tamper(folder)

    assert problems(folder) != []


def test_a_record_that_was_moved_is_named_with_its_former_place(folder):
    reordered(folder)

    assert "drills/00000002.json was moved: it was written as record 3" in problems(folder)


@pytest.mark.parametrize("name", [HEAD, name_of(2)])
def test_a_number_that_nobody_could_count_to_is_found_at_once(folder, name):
    many = 10**12
    if name == HEAD:
        edit(folder, HEAD, lambda values: values.update(sequence=many))
    else:
        (folder.folder / name).rename(folder.folder / name_of(many))

    found = read(folder, NAME)

    first = name_of(5) if name == HEAD else name_of(2)
    assert any(first in each and "removed" in each for each in found.problems), found.problems


def test_records_that_were_removed_in_a_row_are_one_line(folder):
    for number in (2, 3):
        (folder.folder / name_of(number)).unlink()

    assert f"{name_of(2)} to {name_of(3)} were removed" in read(folder, NAME).problems


def test_what_takes_the_place_of_a_removed_record_is_found(folder):
    removed_last(folder)
    append(folder, record("new"))

    assert problems(folder) != []


def test_nothing_is_added_after_a_head_that_cannot_be_understood(folder):
    a_head_that_is_none(folder)

    with pytest.raises(DamagedError, match="cannot be understood") as refused:
        append(folder, record("new"))
    assert refused.value.exit_code is ExitCode.CHECK_FAILED


def test_a_record_that_does_not_follow_the_head_is_not_continued(folder):
    (folder.folder / name_of(5)).write_bytes((folder.folder / name_of(4)).read_bytes())

    with pytest.raises(DamagedError, match=r"drills/00000005\.json was not written after"):
        append(folder, record("new"))


@given(st.data())
def test_any_changed_byte_is_found(data):
    shelf = Kept()
    for number in range(1, 4):
        append(shelf, record(f"drill-{number}"))
    name = data.draw(st.sampled_from(sorted(shelf.kept)))
    before = shelf.kept[name]
    content = bytearray(before)
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    shelf.kept[name] = bytes(content)

    # White space in the head says nothing else than before.
    is_same = name == HEAD and same_json(before, shelf.kept[name])
    assert read(shelf, NAME).problems or is_same


def same_json(one, other):
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


class Kept:
    """A shelf in memory."""

    is_shared = False

    def __init__(self):
        self.kept = {}

    def read(self, name):
        content = self.kept.get(name)
        return content and chain.Kept(content, chain.sha256(content))

    def write(self, name, content, version):
        found = self.read(name)
        if (found.version if found else None) != version:
            raise chain.ChangedError(name)
        self.kept[name] = content
        return chain.sha256(content)

    def names(self, folder):
        return [name for name in self.kept if name.startswith(folder)]


@pytest.fixture(scope="module")
def signer():
    return Signer()


def test_a_signature_is_checked_without_aws_and_as_others_check_it(signer):
    content = b"what was signed"
    signature = signer.sign(content)

    assert signer.public.has_signed(content, signature)
    assert PublicKey.from_bytes(signer.pem) == signer.public
    numbers = signer.key.public_key().public_numbers()
    assert (signer.public.modulus, signer.public.exponent) == (numbers.n, numbers.e)


def test_what_is_not_signed_by_the_key_is_found(signer):
    content, other = b"what was signed", Signer()
    signature = signer.sign(content)

    assert not signer.public.has_signed(b"What was signed", signature)
    assert not signer.public.has_signed(content, other.sign(content))
    assert not signer.public.has_signed(content, {})
    assert not signer.public.has_signed(content, signature | {"algorithm": "RSASSA_PSS_SHA_256"})
    assert not signer.public.has_signed(content, signature | {"value": "not base64"})
    assert not signer.public.has_signed(content, signature | {"value": ""})


def test_a_signature_of_another_kind_is_none(signer):
    content = b"what was signed"
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    value = base64.b64encode(signer.key.sign(content, pss, hashes.SHA256())).decode()
    assert not signer.public.has_signed(
        content, {"algorithm": ALGORITHM, "value": value, "key": ARN}
    )
    other = signer.key.sign(content, padding.PKCS1v15(), hashes.SHA512())
    value = base64.b64encode(other).decode()
    assert not signer.public.has_signed(
        content, {"algorithm": ALGORITHM, "value": value, "key": ARN}
    )


def test_the_padding_is_compared_as_a_whole(signer):
    """A digest at the end of anything else is not a signature."""
    numbers = signer.key.private_numbers()
    modulus, length = numbers.public_numbers.n, signer.key.key_size // 8

    def signature(padding):
        info = bytes.fromhex("3031300d060960864801650304020105000420")
        hashed = info + hashlib.sha256(b"content").digest()
        padded = b"\x00\x01" + padding.ljust(length - len(hashed) - 3, b"\xff") + b"\x00" + hashed
        value = pow(int.from_bytes(padded), numbers.d, modulus).to_bytes(length)
        return {"algorithm": ALGORITHM, "value": base64.b64encode(value).decode(), "key": ARN}

    assert signer.public.has_signed(b"content", signature(b""))
    assert not signer.public.has_signed(b"content", signature(b"\xff\xff\x00garbage"))


def spki(key):
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "too early"),
        (b"-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", "base64"),
        (spki(ec.generate_private_key(ec.SECP256R1())), "not an RSA key"),
        (spki(rsa.generate_private_key(65537, 1024)), "1024 bits"),
        (spki(rsa.generate_private_key(65537, 2048))[:-9], "too early"),
    ],
    ids=["empty", "no base64", "elliptic curve", "short", "cut off"],
)
def test_what_is_not_a_public_key_is_refused(content, reason):
    with pytest.raises(ValueError, match=reason):
        PublicKey.from_bytes(content)


def test_kms_signs_the_digest_and_gives_the_public_key(signer):
    """By a fake, as moto hashes a digest once more; the e2e test asks the local AWS."""

    def sign(**request):
        assert request["MessageType"] == "DIGEST"
        assert request["SigningAlgorithm"] == ALGORITHM
        prehashed = utils.Prehashed(hashes.SHA256())
        return {"Signature": signer.key.sign(request["Message"], padding.PKCS1v15(), prehashed)}

    kms = Canned(sign=sign, get_public_key={"PublicKey": signer.der})
    key = KmsKey.of(environment({("kms", WEST): kms}, outputs={"records_key_arn": ARN}))

    signature = key.sign(b"content")

    assert key.public_key().has_signed(b"content", signature)
    assert signature["key"] == ARN


def test_a_key_that_cannot_be_used_is_named():
    kms = Canned(sign={}, get_public_key={"PublicKey": b"?"})
    key = KmsKey.of(environment({("kms", WEST): kms}, outputs={"records_key_arn": ARN}))

    with pytest.raises(OpsError, match=f"cannot be signed with {ARN}"):
        key.sign(b"content")
    with pytest.raises(OpsError, match=f"the public key of {ARN} cannot be read"):
        key.public_key()


def test_without_a_key_nothing_is_signed():
    assert KmsKey.of(environment()) is None


def test_records_are_signed_with_their_place(shelf, signer):
    for number in range(2):
        append(shelf, record(f"drill-{number}"), signer.sign)

    for link in read(shelf, NAME).links:
        assert signer.public.has_signed(link.signed, link.signature)
