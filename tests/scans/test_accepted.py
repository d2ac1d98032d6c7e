import pytest
from repository_files import REPOSITORY

from scans.accepted import Accepted, FailedCheck, compare, read_accepted

pytestmark = pytest.mark.unit

VPC = FailedCheck("CKV_AWS_117", "inside a VPC", "aws_lambda_function.a", "environments/local")


def test_a_failed_check_that_nothing_explains_is_reported():
    others = [
        Accepted("CKV_AWS_116", "*", "another check"),
        Accepted("CKV_AWS_117", "aws_lambda_function.b*", "another resource"),
    ]

    unexplained, stale = compare([VPC], others)

    assert unexplained == [VPC]
    assert stale == others


def test_an_explained_one_is_not_and_an_explanation_of_nothing_is():
    explained = Accepted("CKV_AWS_117", "aws_lambda_function.*", "functions call DynamoDB only")

    assert compare([VPC], [explained]) == ([], [])
    assert compare([], [explained]) == ([], [explained])


@pytest.mark.parametrize(
    "entry",
    [
        'check = "CKV_AWS_1"\nresources = "*"',
        'check = "CKV_AWS_1"\nresources = "*"\nreason = " "',
        'check = "CKV_AWS_1"\nresources = "*"\nreason = "r"\nuntil = "2030"',
    ],
)
def test_an_entry_without_a_reason_is_refused(tmp_path, entry):
    (tmp_path / "accepted.toml").write_text(f"[[accepted]]\n{entry}\n")

    with pytest.raises(ValueError, match="needs check, resources and a reason"):
        read_accepted(tmp_path / "accepted.toml")


def test_every_entry_of_the_project_names_its_resources_and_gives_a_sentence():
    for entry in read_accepted(REPOSITORY / "scans" / "accepted.toml"):
        assert entry.resources != "*"
        assert entry.reason.endswith(".")
        assert len(entry.reason) > 20


def test_an_explanation_may_hold_for_some_environments_only():
    shipped = Accepted("CKV_AWS_117", "*", "a reason", environments="environments/*")
    hardened = FailedCheck(VPC.id, VPC.name, VPC.address, "hardened/local")

    assert compare([VPC, hardened], [shipped]) == ([hardened], [])
