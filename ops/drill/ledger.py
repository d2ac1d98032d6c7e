"""Whether what was acknowledged is there: pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ops.drill.events import Request


@dataclass(frozen=True)
class Look:
    """What one Region held when it was looked at, until all was found or patience ended.

    Attributes:
        region: The Region.
        looked_for: How many acknowledged writes were looked for.
        late: Keys that the first look did not find and a later one did.
        missing: Keys that no look found.
        seconds: From the first look to the last.
        error: Why it could not be looked at; empty if it could.
    """

    region: str
    looked_for: int
    late: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""


@dataclass(frozen=True)
class Durability:
    """What became of the writes.

    Attributes:
        acknowledged: Writes that were answered 200 or 201.
        unacknowledged: Writes that were not, or without any answer: they may be stored or not.
        cut_over: The standby after cut-over, with all that was acknowledged until then.
        end: Every Region at the end.
    """

    acknowledged: int
    unacknowledged: int
    cut_over: Look | None = None
    end: tuple[Look, ...] = ()

    @property
    def lost(self) -> Mapping[str, tuple[str, ...]]:
        """`{key: Regions in which it was not found}` of every write that was lost anywhere."""
        found: dict[str, list[str]] = {}
        for look in (*([self.cut_over] if self.cut_over else []), *self.end):
            for key in look.missing:
                regions = found.setdefault(key, [])
                if look.region not in regions:
                    regions.append(look.region)
        return {key: tuple(found[key]) for key in sorted(found)}


def acknowledged(requests: Iterable[Request]) -> tuple[str, ...]:
    """Keys of the writes that a customer may rely on.

    Args:
        requests: All requests.

    Returns:
        The keys, in order.
    """
    return tuple(sorted({r.key for r in requests if r.kind == "write" and r.ok}))


def compare(region: str, keys: Iterable[str], looks: Iterable[tuple[float, set[str]]]) -> Look:
    """Looks for keys until all are found or there are no more looks.

    Args:
        region: The Region.
        keys: Acknowledged keys.
        looks: When and what was seen, as often as it is looked.
    """
    wanted = set(keys)
    missing, late, began, ended = set(wanted), set[str](), None, 0.0
    for at, seen in looks:
        if began is None:
            began = at
        else:
            late |= missing & seen
        missing -= seen
        ended = at
        if not missing:
            break
    return Look(
        region=region,
        looked_for=len(wanted),
        late=tuple(sorted(late)),
        missing=tuple(sorted(missing)),
        seconds=ended - (began or ended),
    )
