"""What programs see of it: the same JSON, the same errors, and nothing else."""

import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
from pathlib import Path

import psutil
import pytest
from provider_programs import INSTALL, NAMES, run, start
from repository_files import ENVIRONMENTS, REPOSITORY

pytestmark = pytest.mark.program

MAIN = REPOSITORY / "main.py"


# Printed at the end of a program: was it fast, or did it fall back?
COUNT = """
import sys
print(sum(name.startswith("cdktf_cdktf_provider_aws.") for name in sys.modules), file=sys.stderr)
"""


@pytest.fixture(scope="module")
def stock_names(tmp_path_factory):
    """What a program that makes names writes with the stock import."""
    return run(NAMES, tmp_path_factory.mktemp("stock") / "program").stack("names")


def main_in(folder: Path, **environment: str) -> subprocess.CompletedProcess:
    folder.mkdir()
    return subprocess.run(
        [sys.executable, str(MAIN)],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.exhaustive
def test_environments_are_the_same_to_the_byte_as_with_the_stock_import(tmp_path):
    fast = main_in(tmp_path / "fast")
    stock = main_in(tmp_path / "stock", FAILOVER_BINDINGS="stock")

    assert (fast.returncode, stock.returncode) == (0, 0), fast.stderr + stock.stderr
    assert "as a whole" not in fast.stderr
    synthesized = [
        {
            file.parent.name: file.read_bytes()
            for file in folder.glob("cdktf.out/stacks/*/cdk.tf.json")
        }
        for folder in (tmp_path / "fast", tmp_path / "stock")
    ]
    assert len(synthesized[0]) >= len(ENVIRONMENTS)
    assert synthesized[0] == synthesized[1]


@pytest.mark.soak
def test_fifty_other_resource_types_are_the_same_to_the_byte(tmp_path):
    source = (Path(__file__).parent / "other_resources.py").read_text()

    fast = run(INSTALL + source + COUNT, tmp_path / "fast")
    stock = run(source + COUNT, tmp_path / "stock")

    assert fast.stack("other") == stock.stack("other")
    assert fast.output == stock.output  # what the aspect saw
    assert len(fast.resources("other")) >= 50
    assert int(fast.errors.split()[-1]) < 500 < int(stock.errors.split()[-1])


def test_tests_of_others_run_in_parallel(tmp_path):
    # GIVEN a project whose tests synthesize, and no cache
    (tmp_path / "conftest.py").write_text(INSTALL)
    for name in "abcd":
        (tmp_path / f"test_{name}.py").write_text(
            "import cdktf_cdktf_provider_random as random\n"
            "from cdktf import TerraformStack, Testing as Synthesis\n"
            "def test_synthesis():\n"
            "    stack = TerraformStack(Synthesis.app(), 'names')\n"
            "    random.provider.RandomProvider(stack, 'random')\n"
            "    random.pet.Pet(stack, 'pet')\n"
            "    assert 'random_pet' in Synthesis.synth(stack, True)\n"
        )

    # WHEN they run in two processes
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "2", "-q", "-p", "no:cacheprovider",
         "-p", "no:schemathesis", str(tmp_path)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "FAILOVER_BINDINGS_CACHE": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
    )  # fmt: skip

    assert "4 passed" in done.stdout, done.stdout + done.stderr


# The package


PACKAGE = (
    INSTALL
    + """
import sys
import cdktf_cdktf_provider_random as random
assert "cdktf_cdktf_provider_random.pet" not in sys.modules
from cdktf_cdktf_provider_random import uuid
assert random.uuid is uuid and random.pet.Pet
assert {"pet", "provider", "uuid"} <= {*dir(random)} and "pet" in random.__all__
try:
    random.elephant
except AttributeError as error:
    print(error)
try:
    import cdktf_cdktf_provider_random.elephant
except ModuleNotFoundError as error:
    print(error)
names = {}
exec("from cdktf_cdktf_provider_random import *", names)
print(names["string_resource"].StringResource.__name__)
"""
)


def test_the_package_looks_as_ever(tmp_path):
    done = run(PACKAGE, tmp_path / "program")

    assert done.output == (
        "module 'cdktf_cdktf_provider_random' has no attribute 'elephant'\n"
        "No module named 'cdktf_cdktf_provider_random.elephant'\n"
        "StringResource\n"
    ), done.errors


def test_imports_may_come_late(tmp_path):
    """After the kernel has made resources, from within a function."""
    source = INSTALL + NAMES.replace(
        "app.synth()",
        "from cdktf_cdktf_provider_random.uuid import Uuid\nUuid(stack, 'late')\napp.synth()",
    )

    assert "late" in run(source, tmp_path / "program").resources("names")["random_uuid"]


WRONG = """
import cdktf_cdktf_provider_random.pet as pet
from cdktf import App, TerraformStack
stack = TerraformStack(App(), "names")
pet.Pet(stack, "right", length=2, prefix="a", keepers={"a": "b"})
pet.Pet(stack, "token", length=2, prefix=pet.Pet(stack, "inner").id)
for wrong in ({"length": "two"}, {"prefix": 3}, {"keepers": {"a": 1}}, {"keepers": ["a"]}):
    try:
        pet.Pet(stack, f"wrong {wrong}", **wrong)
    except Exception as error:
        print(type(error).__name__, error)
try:
    pet.Pet(stack, "right")
except Exception as error:
    print(type(error).__name__, error)
"""


def test_wrong_arguments_are_rejected_in_the_same_words(tmp_path):
    fast, stock = run(INSTALL + WRONG, tmp_path / "fast"), run(WRONG, tmp_path / "stock")

    assert fast.output == stock.output
    assert fast.output.count("TypeError type of ") == 3  # jsii itself refuses the fourth
    assert "There is already a Construct with name 'right'" in fast.output


# What else runs in the program


def test_imports_in_a_thread_disturb_nothing(tmp_path):
    # GIVEN a thread that imports while the main thread makes resources
    source = (
        INSTALL
        + """
import importlib, sys, threading
from cdktf import App, LocalBackend, TerraformStack
from cdktf_cdktf_provider_random.pet import Pet
from cdktf_cdktf_provider_random.provider import RandomProvider
sys.setswitchinterval(1e-5)
stack = TerraformStack(App(outdir="out"), "names")
LocalBackend(stack, path="names.tfstate")
RandomProvider(stack, "random")
rest = ("bytes", "id", "integer", "password", "shuffle", "string_resource", "uuid")
imports = threading.Thread(target=lambda: [
    importlib.import_module(f"cdktf_cdktf_provider_random.{name}") for name in rest])
imports.start()
first = Pet(stack, "first")
for number in range(40):
    assert first.id
    Pet(stack, f"pet{number}", prefix=first.id, separator=first.id)
imports.join()
stack.node.root.synth()
"""
    )

    done = run(source, tmp_path / "program")

    pets = done.resources("names")["random_pet"]
    assert len(pets) == 41
    for name, pet in pets.items():
        if name != "first":
            assert pet["prefix"] == pet["separator"] == "${random_pet.first.id}", name


FORK = (
    INSTALL
    + """
import os, sys
for name in ("one", "two"):
    if os.fork() == 0:
        os.makedirs(name)
        os.chdir(name)
        exec(open("../names.py").read())
        sys.exit(0)
codes = [os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2)]
print(codes)
"""
)


def test_a_forked_process_has_its_own_kernel(tmp_path, stock_names):
    (tmp_path / "names.py").write_text(NAMES)

    done = run(FORK, tmp_path)

    assert done.output == "[0, 0]\n", done.errors
    for name in ("one", "two"):
        path = tmp_path / name / "out" / "stacks" / "names" / "cdk.tf.json"
        assert path.read_bytes() == stock_names


def test_folder_and_variables_are_those_of_the_first_import_of_cdktf(tmp_path):
    source = """
import os
os.makedirs("elsewhere")
os.chdir("elsewhere")
os.environ["CDKTF_OUTDIR"] = "../out"
from cdktf import App, TerraformStack, LocalBackend
app = App()
LocalBackend(TerraformStack(app, "names"))
app.synth()
"""
    (tmp_path / "a").mkdir()

    fast = run(INSTALL + source, tmp_path / "a" / "program")
    stock = run(source, tmp_path / "b" / "program")

    assert fast.stack("names") == stock.stack("names").replace(
        bytes(tmp_path / "b"), bytes(tmp_path / "a")
    )


LIBRARY = {
    "package/package.json": '{"name": "toy", "version": "1.0.0", "main": "index.js"}',
    "package/.jsii": """{
        "schema": "jsii/0.10.0", "name": "toy", "version": "1.0.0", "jsiiVersion": "5.8.0",
        "types": {"toy.Maker": {"kind": "class", "fqn": "toy.Maker", "name": "Maker",
            "assembly": "toy", "methods": [{"name": "make", "static": true,
                "parameters": [{"name": "scope", "type": {"fqn": "constructs.Construct"}}]}]}}}""",
    "package/index.js": """
        const random = require("@cdktf/provider-random");
        const { Pet } = require("@cdktf/provider-random/lib/pet");
        exports.Maker = class Maker {
            static make(scope) {
                if (random.pet.Pet !== Pet) throw new Error("two of one class");
                console.log("grüße", Object.keys(random).includes("uuid"), process.stdin.isTTY);
                console.error("too");
                require("fs").writeSync(1, "past everything\\n");
                require("child_process").execSync("echo from a child", { stdio: "inherit" });
                new Pet(scope, "made");
                new random.uuid.Uuid(scope, "also");
            }
        };""",
}
USES_LIBRARY = """
import jsii, sys
from cdktf import App, LocalBackend, TerraformStack
from cdktf_cdktf_provider_random.provider import RandomProvider
class Maker:
    __jsii_type__ = "toy.Maker"
jsii.kernel.load("toy", "1.0.0", sys.argv[0].replace("program.py", "toy.tgz"))
app = App(outdir="out")
stack = TerraformStack(app, "names")
LocalBackend(stack, path="names.tfstate")
RandomProvider(stack, "random")
jsii.kernel.sinvoke(Maker, "make", [stack])
print([type(child).__name__ for child in stack.node.children])
app.synth()
"""


def test_libraries_of_javascript_use_a_provider_as_ever(tmp_path):
    """And print as ever, wherever they print to."""
    for folder in (tmp_path / "fast", tmp_path / "stock"):
        folder.mkdir()
        with tarfile.open(folder / "toy.tgz", "w:gz") as archive:
            for name, content in LIBRARY.items():
                member = tarfile.TarInfo(name)
                member.size = len(content.encode())
                archive.addfile(member, io.BytesIO(content.encode()))

    fast = run(INSTALL + USES_LIBRARY, tmp_path / "fast")
    stock = run(USES_LIBRARY, tmp_path / "stock")

    assert fast.stack("names") == stock.stack("names")
    assert sorted(fast.output.splitlines()) == sorted(stock.output.splitlines())
    assert fast.errors == stock.errors == "too\n"


LATE_CACHE_FAULT = """
import os, shutil
from pathlib import Path
from cdktf import App, TerraformStack
stack = TerraformStack(App(outdir="out"), "names")
root = Path(os.environ["JSII_RUNTIME_PACKAGE_CACHE_ROOT"])
shutil.rmtree(root)
root.write_text("no folder")
try:
    from cdktf_cdktf_provider_random.pet import Pet
    Pet(stack, "late")
except Exception as error:
    print(type(error).__name__, "jsii package cache" in str(error))
print(stack.node.id)
"""


def test_a_kernel_that_holds_objects_is_never_replaced(tmp_path):
    done = run(
        INSTALL + LATE_CACHE_FAULT,
        tmp_path / "program",
        JSII_RUNTIME_PACKAGE_CACHE_ROOT=str(tmp_path / "jsii"),
    )

    assert done.output == "JSIIError True\nnames\n", done.errors


# Where it does not apply


UNKNOWN_RUNTIME = "from cdktf_bindings import node\nnode.PROVEN_RUNTIMES = frozenset()\n"


@pytest.mark.parametrize(
    ("before", "environment", "warning"),
    [
        ("import cdktf\n", {}, "cdktf was imported before bindings.install() was called"),
        (UNKNOWN_RUNTIME, {}, "jsii 1.142.0 has not been tested with this package"),
        ("", {"FAILOVER_BINDINGS": "Stock"}, "FAILOVER_BINDINGS is 'Stock'; only 'stock' means"),
        ("", {"JSII_DEBUG_TIMING": "1"}, "JSII_DEBUG_TIMING is set"),
    ],
)
def test_a_surprise_is_one_line_and_the_stock_import(
    tmp_path, stock_names, before, environment, warning
):
    done = run(before + INSTALL + NAMES, tmp_path / "program", **environment)

    assert done.stack("names") == stock_names
    (line,) = [line for line in done.errors.splitlines() if line.startswith("bindings: ")]
    assert line.startswith("bindings: providers are loaded as a whole: ")
    assert warning in line


def test_a_provider_of_another_layout_is_loaded_as_a_whole(tmp_path, stock_names):
    # GIVEN a provider with a module that is not a submodule of its assembly
    import cdktf_cdktf_provider_random as random

    site = tmp_path / "site"
    package = Path(shutil.copytree(Path(random.__file__).parent, site / random.__name__))
    (package / "by_hand").mkdir()
    (package / "by_hand" / "__init__.py").write_text("")

    done = run(
        INSTALL + NAMES,
        tmp_path / "program",
        PYTHONPATH=f"{site}{os.pathsep}{REPOSITORY}",
        FAILOVER_BINDINGS_CACHE=str(tmp_path / "cache"),
    )

    assert done.stack("names") == stock_names
    assert (
        "bindings: cdktf_cdktf_provider_random is loaded as a whole: UnknownLayoutError: "
        in done.errors
    )


@pytest.mark.parametrize("home", ["a file", "a folder that nobody can make"])
@pytest.mark.parametrize("mode", ["", "stock"])
def test_jsii_without_a_cache_of_its_own_still_works(tmp_path, home, mode):
    """Left alone, jsii gives up at the first, and tries the second again for ever."""
    (tmp_path / "home").write_text("no folder")
    folder = str(tmp_path / "home") if home == "a file" else "/proc/nobody"

    done = run(
        INSTALL + NAMES,
        tmp_path / "program",
        HOME=folder,
        XDG_CACHE_HOME=folder,
        FAILOVER_BINDINGS=mode,
        FAILOVER_BINDINGS_CACHE=str(tmp_path / "cache"),
    )

    assert done.resources("names")["random_pet"]


# Node


def node_that(folder: Path, script: str) -> str:
    path = folder / "node"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def node_of_version(folder: Path, version: str) -> str:
    """The real Node, which gives itself out for another version: no other one is at hand."""
    preload = folder / "version.js"
    preload.write_text(
        f"Object.defineProperty(process, 'version', {{ value: 'v{version}' }});\n"
        "Object.defineProperty(process, 'versions',"
        f" {{ value: {{ ...process.versions, node: '{version}' }} }});\n"
    )
    return node_that(folder, f'exec node --require "{preload}" "$@"')


@pytest.mark.parametrize(
    ("node", "line"),
    [
        (lambda _: "is/missing", "is/missing cannot be started (No such file or directory): "),
        (
            lambda folder: node_that(folder, "exit 1"),
            "node, which ended at once, cannot run cdktf: ",
        ),
        (lambda folder: node_of_version(folder, "12.22.12"), "Node v12.22.12 cannot run cdktf: "),
    ],
)
def test_a_node_that_cannot_work_is_one_line(tmp_path, node, line):
    done = main_in(tmp_path / "program", JSII_NODE=node(tmp_path))

    assert done.returncode == 3
    assert line + "install Node 18, 20 or 22, or set JSII_NODE" in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_users_mistake_comes_before_a_missing_node(tmp_path):
    done = main_in(tmp_path / "program", JSII_NODE="is/missing", FAILOVER_ENVIRONMENT="prod")

    assert done.returncode == 2
    assert "one of: example, local" in done.stderr
    assert "Node" not in done.stderr


@pytest.mark.parametrize("before", ["", UNKNOWN_RUNTIME])
def test_what_jsii_says_of_an_old_node_stays_off_the_screen(tmp_path, before):
    old = {
        "JSII_NODE": node_of_version(tmp_path, "18.20.8"),
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": None,
    }

    banner = run(NAMES, tmp_path / "stock", **old)
    done = run(before + INSTALL + NAMES, tmp_path / "program", **old)

    assert "end-of-life" in banner.errors
    assert done.resources("names")["random_pet"]
    assert "end-of-life" not in done.errors


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_node_ends_with_the_program(tmp_path, end):
    # GIVEN a program that has used the kernel and is busy
    busy = INSTALL + NAMES + "\nimport time\nprint('busy', flush=True)\ntime.sleep(60)\n"
    process = start(busy, tmp_path / "program")
    assert process.stdout.readline() == "busy\n"
    nodes = psutil.Process(process.pid).children(recursive=True)
    assert nodes

    # WHEN it ends
    process.send_signal(end)
    if end is signal.SIGINT:
        for node in nodes:
            node.send_signal(end)  # as a terminal does: to every process of the group
    _, errors = process.communicate(timeout=10)

    # THEN Node ends too, and nothing but the interrupt is printed
    _, alive = psutil.wait_procs(nodes, timeout=10)
    assert not alive
    assert errors.count("Traceback") == (end is signal.SIGINT)
    assert "BrokenPipe" not in errors


def test_a_program_that_never_uses_the_kernel_ends_at_once(tmp_path):
    """jsii gives Node five seconds to end by itself, and then terminates it."""
    ended = """
import atexit, jsii
atexit.register(lambda: print(jsii.kernel.provider._process._process.returncode))
"""

    done = run(ended + INSTALL, tmp_path / "program")

    assert (done.code, done.output, done.errors) == (0, "0\n", "")
