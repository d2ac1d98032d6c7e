"""What a deployer meets: stacks, gates, aliases and an operator, without Terraform and AWS."""

from ops.deploy.parts import GateResult
from ops.deploy.record import History
from ops.deploy.run import Deployer
from ops.deploy.shelf import FolderShelf
from ops.errors import OpsError
from ops.folders import releases_folder

NAMES = ("x-data", "x-west", "x-east", "x-routing")
REGIONS = ("x-west", "x-east")
FAULTS = ("faulty", "slow")
"""A share of the requests shows the first one, all of them both."""
UNDER_LOAD = "under load"
"""A fault that only customers show."""
NO_PROCESS = 2**31 - 1


class KilledError(BaseException):
    """SIGKILL, as far as the program can notice."""


class World:
    """What is deployed, and the stacks, gates and operator that a deployer meets.

    Attributes:
        regions: `{stack: its Regions}`; most have one, which is called as the stack.
        deployed: `{stack: what Terraform has applied}`.
        serving: `{Region: the version that its requests get}`.
    """

    def __init__(self, folder, regions=None):
        self.regions = regions or {name: (name,) for name in NAMES}
        self.names = names = tuple(self.regions)
        self.output = folder / "out"
        self.folder = releases_folder(folder, "x")
        self.history = FolderShelf(self.folder)
        self.deployed = dict.fromkeys(names, "")
        self.snapshots = {}
        """What each API was deployed from: what there was before anything was deleted."""
        self.serving, self.shared = dict.fromkeys(sum(self.regions.values(), ()), ""), {}
        self.switched_by = None
        self.calls = []
        self.approved = []
        self.killed_at = None
        self.type = "aws_lambda_function"

    def synthesizes(self, text, *, data="table"):
        for name in self.names:
            folder = self.output / "stacks" / name
            (folder / "assets").mkdir(parents=True, exist_ok=True)
            content = data if name == "x-data" else f"{name} {text}"
            (folder / "cdk.tf.json").write_text(content)
            (folder / "assets" / "archive.zip").write_text(content)
            (folder / ".terraform").mkdir(exist_ok=True)
            (folder / ".terraform" / "provider").write_text("installed")

    def step(self, *call):
        if self.killed_at is not None and len(self.calls) >= self.killed_at:
            raise KilledError
        self.calls.append(call)

    def deployer(self):
        return Deployer(
            "x",
            History.read(self.history),
            self.folder,
            lambda name: FakeStack(self, name),
            self,
            FakeAliases(self),
            FakeCustomers(self),
            approve=self.approve,
            check=lambda: self.step("check"),
        )

    def deploys(self, share=0.1, with_customers=False):
        return self.deployer().deploy(
            self.names,
            revision="abc",
            bake_seconds=7,
            share=share,
            with_customers=with_customers,
        )

    def approve(self, plans):
        self.step("approve")
        self.approved.append(plans)

    # The gate

    def prepare(self, stack):
        self.step("prepare", stack)

    def check(self, stack, bake_seconds, region=""):
        self.step("gate", region or stack, bake_seconds)
        found = "well"
        for each in [region] if region else self.regions[stack]:
            found = next((f for f in FAULTS if f in self.serving[each]), found)
            if "faulty" in self.shared.get(each, ""):
                found = "faulty"
            if self.switched_by and UNDER_LOAD in self.serving[each]:
                found = UNDER_LOAD
        return GateResult(found == "well", found, {"seconds": 1.0})

    def clean(self):
        self.step("clean", "")

    def did(self, what):
        return [call[1] for call in self.calls if call[0] == what]


class FakeCustomers:
    """The switch, as the first Region of the order can take over."""

    def __init__(self, world):
        self.world = world

    def may_move_to(self, stack):
        return stack == REGIONS[0]

    def move(self, run):
        self.world.step("move", run)
        if self.world.switched_by:
            raise OpsError("the primary is evacuated", next_step="")
        self.world.switched_by = run

    def back(self, run):
        self.world.step("back", run)
        if self.world.switched_by == run:
            self.world.switched_by = None


class FakeAliases:
    """The versions that Terraform has published get requests only here."""

    def __init__(self, world):
        self.world, self.before = world, {}

    def regions(self, stack):
        return self.world.regions[stack]

    def has_unserved(self, stack):
        served = {self.world.serving[region] for region in self.world.regions[stack]}
        return self.world.deployed[stack] != "" and served != {self.world.deployed[stack]}

    def share(self, region, share):
        world, newest = self.world, self._newest(region)
        world.step("share", region, share)
        if world.serving[region] in ("", newest):
            world.serving[region] = newest
            return 0
        self.before.setdefault(region, world.serving[region])
        world.shared[region] = newest
        return 1

    def release(self, region):
        world = self.world
        world.step("release", region)
        self.before.setdefault(region, world.serving[region])
        world.serving[region] = self._newest(region)
        world.shared.pop(region, None)

    def restore(self, stack):
        world = self.world
        for region in world.regions[stack]:
            world.step("restore", region)
            world.serving[region] = self.before.pop(region, world.serving[region])
            world.shared.pop(region, None)

    def _newest(self, region):
        world = self.world
        return next(world.deployed[s] for s, regions in world.regions.items() if region in regions)


class FakeStack:
    def __init__(self, world, name):
        self.world, self.name = world, name
        self.folder = world.output / "stacks" / name

    @property
    def content(self):
        return (self.folder / "cdk.tf.json").read_text()

    def init(self):
        self.world.step("init", self.name)

    def plan(self, file, replace=()):
        self.world.step("plan", self.name)
        self.replaced = replace
        file.write_text(self.content)
        changed = self.world.deployed[self.name] != self.content
        change = {
            "address": f"{self.world.type}.{self.name}",
            "mode": "managed",
            "type": self.world.type,
            "change": {
                "actions": ["delete", "create"] if "replaced" in self.content else ["update"]
            },
        }
        if "replaced" in self.content:
            change["change"]["actions"] = ["delete", "create"]
        outputs = {"url": {"actions": ["update" if "outputs" in self.content else "no-op"]}}
        changes = [change] if changed else []
        if changed and "removes" in self.content:
            changes += [
                {"address": address, "mode": "managed", "type": "", "change": {"actions": actions}}
                for address, actions in (
                    ("aws_api_gateway_method.put", ["delete"]),
                    ("aws_api_gateway_deployment.api", ["create", "delete"]),
                )
            ]
        return {"resource_changes": changes, "output_changes": outputs}

    def apply_plan(self, file, on_progress, on_start):
        self.world.step("apply", self.name)
        on_start(NO_PROCESS)
        assert file.read_text() == self.content, "the plan is of what is in the folder"
        if "refused" in self.content:
            self.world.deployed[self.name] = "half"
            raise OpsError("BadRequestException", next_step="")
        if self.replaced or self.world.deployed[self.name] != self.content:
            self.world.snapshots[self.name] = self.world.deployed[self.name]
        self.world.deployed[self.name] = self.content
        self.world.step("applied", self.name)


ONE_STACK = {"x": REGIONS}
"""The layout `single`."""


def contents(text):
    return {name: "table" if name == "x-data" else f"{name} {text}" for name in NAMES}


def one_stack(folder, text):
    """An environment of one stack, with the release "one" and another one to deploy."""
    world = World(folder, ONE_STACK)
    world.synthesizes("one")
    world.deploys()
    world.calls.clear()
    world.synthesizes(text)
    return world
