"""What every fault of a drill can do."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

from ops.environment import Environment


@dataclass(frozen=True, kw_only=True)
class DrillFault:
    """A fault of one Region.

    Attributes:
        id: Its own: the id of the run that injects it, for each further Region with its name.
        region: The Region that fails.
        share: Share of the requests that fail.
        fence: Whether the Region refuses writes once another one serves.
    """

    name: ClassVar[str]
    """Value of `--fault`."""
    help: ClassVar[str]
    """What it does, for the command line."""
    options: ClassVar[tuple[str, ...]] = ()
    """Options of the command line that belong to it."""
    works_on_aws: ClassVar[bool] = False
    fails_requests: ClassVar[bool] = True
    """Whether customers' requests fail; otherwise health checks alone do."""
    isolates: ClassVar[bool] = False
    """Whether it stops replication: no write of the Region reaches another one."""
    serves_inside: ClassVar[bool] = False
    """Whether clients within the Region still write there."""
    takes_fence: ClassVar[bool] = False
    """Whether an operator would fence the Region: it is evacuated, or can be, and still serves."""

    id: str
    region: str
    share: float = 1.0
    fence: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all that is injected."""
        return (self.id,)

    @property
    def loses_writes(self) -> bool:
        """Whether the Region is lost for good, with what has reached no other one."""
        return False

    @classmethod
    def is_possible(cls, environment: Environment) -> bool:
        """Whether it can be injected into an environment.

        Args:
            environment: The environment.
        """
        return cls.works_on_aws or environment.fault_injection is not None

    @classmethod
    def choose(
        cls, environment: Environment, id: str, region: str, options: Mapping[str, Any]
    ) -> Self:
        """Choose the fault for a Region of an environment; nothing is injected.

        Args:
            environment: The environment.
            id: Id of the fault.
            region: The Region.
            options: `{name: value}` of the options that were given.

        Raises:
            OpsError: The environment does not have what fails.
        """
        del environment
        return cls(id=id, region=region, **options)

    def health_check_id(self, environment: Environment) -> str:
        """The Route 53 health check that detects it.

        Args:
            environment: The environment.
        """
        return environment.outputs.endpoint_health_check_ids[self.region]

    def prepared(self, environment: Environment) -> Self:
        """Read what clearing it will need, right before it is injected; nothing is changed.

        Args:
            environment: The environment.

        Raises:
            OpsError: It cannot be read, or injecting the fault would change nothing.
        """
        del environment
        return self

    def preceding_seconds(self, environment: Environment) -> float:
        """How long `precede`, and ending what it has begun, take at most.

        Args:
            environment: The environment.
        """
        del environment
        return 0.0

    def precede(self, environment: Environment, require: Callable[[], None]) -> None:
        """Begin what takes its time and no customer notices, right before it is injected.

        `clear` ends it, too.

        Args:
            environment: The environment.
            require: Called while it waits; raises if the drill may not continue.

        Raises:
            OpsError: It cannot begin, or has not begun in time.
        """
        del environment, require

    def inject(self, environment: Environment) -> None:
        """Inject it.

        Args:
            environment: The environment.

        Raises:
            OpsError: It cannot be injected, or it would change nothing.
        """
        raise NotImplementedError

    def put_up_fence(self, environment: Environment) -> str:
        """Let the Region refuse writes, as an operator would; `clear` takes the fence down.

        Args:
            environment: The environment.

        Returns:
            What the Region's own replica says then, as a clause.

        Raises:
            OpsError: It cannot be evacuated, or not be fenced.
        """
        raise NotImplementedError

    def details(self, environment: Environment) -> tuple[str, ...]:
        """Describe what AWS will do, a sentence each, before it is injected; nothing is changed.

        Args:
            environment: The environment.

        Raises:
            OpsError: It cannot be read.
        """
        del environment
        return ()

    def ended(self, environment: Environment) -> str:
        """Why it has ended, though nobody has cleared it; empty while it has not.

        A drill asks while the fault is injected, and ends with the answer.

        Args:
            environment: The environment.

        Raises:
            OpsError: It cannot be read now.
        """
        del environment
        return ""

    def is_injected(self, environment: Environment) -> bool:
        """Whether it is injected now, and by this run.

        Args:
            environment: The environment.

        Raises:
            OpsError: It cannot be read now.
        """
        raise NotImplementedError

    def clear(self, environment: Environment) -> bool:
        """Clear it, if it is injected by this run.

        Args:
            environment: The environment.

        Returns:
            Whether it was.

        Raises:
            OpsError: It cannot be cleared now.
        """
        raise NotImplementedError

    def by_hand(self, environment: Environment) -> str:
        """The command line that clears it without this tool.

        Args:
            environment: The environment.
        """
        raise NotImplementedError

    def describe(self) -> str:
        """Describe what injecting it does, as a clause without subject."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """As JSON values, for the journal."""
        return {"name": self.name, **asdict(self)}
