import base64
import hashlib
import io
import os
import zipfile

import pytest
from synthesis import new_stack

from constructs_lib.api.function_package import FunctionPackage, reproducible_zip

pytestmark = pytest.mark.unit


def sources(folder, order=("b.py", "a/c.py", "a/data.json")):
    for name in order:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    return folder


def test_the_bytes_depend_on_names_and_contents_alone(tmp_path):
    # GIVEN the same sources, made in another order, at another time, with other modes, in another
    # folder, once with what tools leave behind
    one = sources(tmp_path / "one")
    other = sources(tmp_path / "elsewhere" / "two", order=("a/data.json", "a/c.py", "b.py"))
    for path in (other / "b.py", other / "a" / "c.py"):
        os.utime(path, (1, 1))
        path.chmod(0o755)
    (other / "__pycache__").mkdir()
    (other / "__pycache__" / "b.cpython-313.pyc").write_bytes(b"x")
    (other / "stray.pyc").write_bytes(b"x")
    (other / ".DS_Store").write_bytes(b"x")
    (other / ".cache").mkdir()
    (other / ".cache" / "x.py").write_bytes(b"x")

    assert reproducible_zip(one) == reproducible_zip(other)


def test_contents_names_times_and_modes_are_as_promised(tmp_path):
    with zipfile.ZipFile(io.BytesIO(reproducible_zip(sources(tmp_path)))) as archive:
        entries = archive.infolist()
        assert [entry.filename for entry in entries] == ["a/c.py", "a/data.json", "b.py"]
        assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
        assert archive.read("b.py") == b"# b.py\n"


@pytest.mark.parametrize("change", ["rename", "content"])
def test_a_change_of_a_name_or_a_content_changes_the_bytes(tmp_path, change):
    before = reproducible_zip(sources(tmp_path))
    if change == "rename":
        (tmp_path / "b.py").rename(tmp_path / "bb.py")
    else:
        (tmp_path / "b.py").write_text("# other\n")

    assert reproducible_zip(tmp_path) != before


def test_what_cannot_be_packed_is_rejected(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        reproducible_zip(tmp_path / "missing")
    with pytest.raises(ValueError, match="holds no file"):
        reproducible_zip(tmp_path)
    (tmp_path / "link.py").symlink_to(tmp_path / "x.py")
    with pytest.raises(ValueError, match="symbolic link"):
        reproducible_zip(tmp_path)


def test_the_hash_is_the_one_that_lambda_reports(tmp_path):
    package = FunctionPackage(new_stack(), "package", source=sources(tmp_path))

    digest = hashlib.sha256(reproducible_zip(tmp_path)).digest()
    assert package.source_code_hash == base64.b64encode(digest).decode()
    assert package.modules == {"b"}
