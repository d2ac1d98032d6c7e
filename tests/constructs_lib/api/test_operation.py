import pytest

from constructs_lib import Authorization, Operation

pytestmark = pytest.mark.unit

VALID = {
    "name": "get_thing",
    "method": "GET",
    "path": "/things/{thing}/parts/{part}",
    "authorization": Authorization.NONE,
}


def test_path_parameters_and_pattern_come_from_the_path():
    operation = Operation(**VALID)

    assert operation.path_parameters == ("thing", "part")
    assert operation.path_pattern == "/things/*/parts/*"
    assert operation.handler == "get_thing.handler"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"name": "Get-Thing"}, "'Get-Thing'"),
        ({"name": "x" * 33}, "1 to 32"),
        ({"method": "FETCH"}, "'FETCH'"),
        ({"path": "things"}, "'things'"),
        ({"path": "/things/"}, "'/things/'"),
        ({"path": "/th{ing}"}, "'/th{ing}'"),
        ({"path": "/a/{x}/{x}"}, "every parameter once"),
        ({"rate_per_second": 5.0}, "both, or neither"),
        ({"timeout_seconds": 30}, "1 to 29"),
        ({"memory_megabytes": 64}, "128 to 10240"),
    ],
)
def test_a_value_outside_of_its_limits_is_rejected_by_name(change, named):
    with pytest.raises(ValueError, match="operation ") as raised:
        Operation(**VALID | change)

    assert named in str(raised.value)


def test_authorization_has_no_default():
    with pytest.raises(TypeError):
        Operation(**{key: v for key, v in VALID.items() if key != "authorization"})
