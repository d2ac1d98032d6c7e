"""Taking an assembly apart, on one that is small enough to write down."""

import gzip
import io
import json
import tarfile

import pytest

from cdktf_bindings.assembly import split
from cdktf_bindings.errors import UnknownLayoutError

pytestmark = pytest.mark.unit

ASSEMBLY = {
    "name": "@cdktf/provider-toy",
    "version": "1.0.0",
    "jsiiVersion": "5.8.0",
    "readme": {"markdown": "# Toy"},
    "submodules": {
        "@cdktf/provider-toy.smallThing": {"symbolId": "src/small-thing/index:"},
        "@cdktf/provider-toy.provider": {"symbolId": "src/provider/index:"},
    },
    "types": {
        "@cdktf/provider-toy.smallThing.SmallThing": {
            "kind": "class",
            "docs": {"summary": "Long."},
            "methods": [{"name": "reset", "docs": {"summary": "Longer."}}],
            "locationInModule": {"line": 1},
        },
        "@cdktf/provider-toy.provider.ToyProvider": {"kind": "class"},
    },
}
FILES = {
    "package/package.json": '{"name": "@cdktf/provider-toy"}',
    "package/lib/index.js": "everything",
    "package/lib/small-thing/index.js": "small()\n//# sourceMappingURL=data:application/json;abc",
    "package/lib/small-thing/index.d.ts": "types",
    "package/lib/small-thing/more/part.js": "part()",
    "package/lib/provider/index.js": "const text = '//# sourceMappingURL=';\nprovider()",
}


def tarball(folder, assembly=ASSEMBLY, **files):
    path = folder / "provider-toy@1.0.0.jsii.tgz"
    contents = {"package/.jsii": json.dumps(assembly), **FILES, **files}
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            data = content if isinstance(content, bytes) else content.encode()
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def contents_of(parts, name):
    return json.loads(gzip.decompress(parts.submodules[name].content))


def test_a_submodule_holds_its_types_and_its_code_and_no_more(tmp_path):
    parts = split(tarball(tmp_path))

    assert parts.submodules.keys() == {"smallThing", "provider"}
    assert contents_of(parts, "smallThing") == {
        "types": {
            "@cdktf/provider-toy.smallThing.SmallThing": {
                "kind": "class",
                "methods": [{"name": "reset"}],
            }
        },
        "main": "small-thing/index.js",
        "files": {"small-thing/index.js": "small()\n", "small-thing/more/part.js": "part()"},
    }


def test_code_that_speaks_of_source_maps_stays_whole(tmp_path):
    files = contents_of(split(tarball(tmp_path)), "provider")["files"]

    assert files["provider/index.js"] == FILES["package/lib/provider/index.js"]


def test_the_kernels_tarball_holds_no_type(tmp_path):
    with tarfile.open(fileobj=io.BytesIO(split(tarball(tmp_path)).tarball)) as archive:
        names = archive.getnames()
        metadata = json.load(archive.extractfile("package/.jsii"))

    assert names == ["package/package.json", "package/.jsii", "package/lib/index.js"]
    assert metadata == {
        "name": "@cdktf/provider-toy", "version": "1.0.0", "jsiiVersion": "5.8.0", "types": {},
    }  # fmt: skip


def test_the_same_assembly_gives_the_same_bytes(tmp_path):
    path = tarball(tmp_path)

    assert split(path) == split(path)


def test_a_compressed_assembly_is_the_same_one(tmp_path):
    redirect = {"schema": "jsii/file-redirect", "compression": "gzip", "filename": ".jsii.gz"}
    compressed = {"package/.jsii.gz": gzip.compress(json.dumps(ASSEMBLY).encode())}
    (tmp_path / "plain").mkdir()

    assert split(tarball(tmp_path, redirect, **compressed)) == split(tarball(tmp_path / "plain"))


@pytest.mark.parametrize(
    ("assembly", "fault"),
    [
        (
            ASSEMBLY | {"types": {"@cdktf/provider-toy.Thing": {"kind": "class"}}},
            r"types outside of submodules: @cdktf/provider-toy",
        ),
        (
            ASSEMBLY | {"submodules": {"@cdktf/provider-toy.a": {"symbolId": "src/a/index:"}}},
            r"submodule @cdktf/provider-toy\.a has no lib/a/index\.js",
        ),
        (
            ASSEMBLY | {"submodules": {"@cdktf/provider-toy.a": {}}},
            r"submodule @cdktf/provider-toy\.a has no lib//index\.js",
        ),
        (ASSEMBLY | {"submodules": {}, "types": {}}, "types outside of submodules: "),
    ],
)
def test_an_assembly_of_another_layout_is_rejected(tmp_path, assembly, fault):
    with pytest.raises(UnknownLayoutError, match=fault):
        split(tarball(tmp_path, assembly))


def test_a_tarball_without_an_assembly_is_rejected(tmp_path):
    path = tmp_path / "empty.jsii.tgz"
    with tarfile.open(path, "w:gz"):
        pass

    with pytest.raises(UnknownLayoutError, match=r"holds no package\.json and \.jsii"):
        split(path)
