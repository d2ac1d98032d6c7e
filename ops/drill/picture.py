"""The picture of a drill: who answered, what failed, where DNS led, what health checks believed.

Colours are those of Okabe and Ito, which people with any colour vision tell apart; failures and
unhealthy times are marked by shape and hatching, too.

Source: https://jfly.uni-koeln.de/color/
"""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ops.drill.events import Events, Request
from ops.drill.figures import writes_in_words
from ops.drill.outcome import Outcome, deciding_time, seconds_on_aws

REGIONS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
FAILURE, QUIET = "#D55E00", "#BBBBBB"
THROTTLED, THROTTLED_HATCH = "#F0E442", "...."
INK = "#333333"
LOAD_HEIGHT = 4.0
"""Of the load's part, where a row of states is 1."""
_KIND_OFFSETS = {"read": 0.16, "write": -0.16}


def draw(outcome: Outcome, path: Path) -> None:
    """Draw the timeline of a drill.

    Args:
        outcome: What was found; without a single event, the picture says so.
        path: The PNG to write.
    """
    events = outcome.events
    zero = events.when("injecting") or events.when("started") or 0.0
    checks = _checks(events)
    rows = len(checks) + 2 * len(outcome.scenario.customers)
    loaded = [LOAD_HEIGHT] if outcome.load else []
    height = 4 + 0.34 * (rows + sum(loaded))
    figure = Figure(figsize=(13, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    heights = [3.4, *loaded, rows]
    upper, *middle, lower = figure.subplots(
        len(heights), 1, sharex=True, height_ratios=heights, squeeze=True
    )

    def on_aws(at: float) -> float:
        return (at - zero) * outcome.speed

    begin = on_aws(events.when("started") or zero)
    end = on_aws(events.when("ended") or zero + 1)
    _draw_requests(upper, outcome, on_aws)
    _draw_bars(lower, outcome, checks, on_aws, end)
    for axes in middle:
        _draw_load(axes, outcome)
    _draw_marks((upper, *middle, lower), outcome, on_aws)
    span = end - begin
    lower.set_xlim(begin - 0.01 * span, end + 0.01 * span)
    error = outcome.pace.interval_seconds * outcome.speed
    scaled = f", an estimate: scaled {outcome.speed:g} times" if outcome.speed != 1 else ""
    lower.set_xlabel(f"seconds on AWS since the fault{scaled}, ± {error:.1f} s for one probe")
    figure.suptitle(_title(outcome), x=0.01, ha="left", fontsize=12, fontweight="bold")
    figure.legend(
        handles=_legend(outcome), loc="outside lower left", ncols=7, frameon=False, fontsize=8.5
    )
    figure.savefig(path, metadata={"Software": None})


def _title(outcome: Outcome) -> str:
    words = f"Failover drill “{outcome.fault}” of {outcome.environment}"
    name, time = deciding_time(outcome)
    if outcome.measurements:
        what = {
            "rto": "RTO",
            "cut_over": "RTO not exercised, cut-over",
            "served_again": "no Region was left; restored, and served again after",
        }.get(name, "")
        never = ": nobody was to move" if name == "nothing" else ": never cut over"
        words += f": {what} {seconds_on_aws(time, outcome.speed)}" if time else never
        words += f"\n{writes_in_words(outcome)}"
    return words


def _draw_requests(axes: Any, outcome: Outcome, on_aws: Any) -> None:
    groups: dict[tuple[str, bool], list[Request]] = {}
    for request in outcome.events.requests:
        groups.setdefault((request.region or "", request.ok), []).append(request)
    scenario = outcome.scenario
    others = {region for region, _ in groups} - {*scenario.regions, ""}
    top_down = {
        **{r: f"{r}\n(lost)" if r in scenario.lost else r for r in scenario.regions},
        **{region: region for region in sorted(others)},
        "": "no Region\nresponded",
    }
    colours = _colours(outcome)
    lanes = {region: lane for lane, region in enumerate(reversed(top_down))}
    for (region, ok), requests in groups.items():
        colour = colours.get(region, INK)
        axes.scatter(
            [on_aws(r.sent_at) for r in requests],
            [lanes[region] + _KIND_OFFSETS[r.kind] for r in requests],
            marker="o" if ok else "x",
            s=16 if ok else 30,
            linewidths=0 if ok else 1.4,
            color=colour if ok else FAILURE,
            zorder=3,
        )
    axes.set_yticks(list(lanes.values()), [top_down[region] for region in lanes])
    axes.set_ylim(-0.5, len(lanes) - 0.5)
    axes.set_ylabel("responses\n(read above, write below)", fontsize=9)
    _bare(axes)


def _draw_load(axes: Any, outcome: Outcome) -> None:
    """Requests of the load in each second of this machine's clock, and their longest latency."""
    if outcome.load is None:
        return
    colours, speed = _colours(outcome), outcome.speed
    for second, tallies in outcome.load.seconds().items():
        bottom = 0
        served = [(t.counts.get("ok", 0), colours.get(t.region, INK), "") for t in tallies]
        throttled = sum(t.counts.get("throttled", 0) for t in tallies)
        failed = sum(t.failed for t in tallies) - throttled
        for count, colour, hatch in (
            *served,
            (throttled, THROTTLED, THROTTLED_HATCH),
            (failed, FAILURE, ""),
        ):
            if count:
                axes.bar(
                    second * speed, count, speed, bottom,
                    align="edge", color=colour, hatch=hatch, edgecolor="white", linewidth=0,
                )  # fmt: skip
                bottom += count
    axes.set_ylabel("load: requests\na second here", fontsize=9)
    _bare(axes)
    axes.tick_params(axis="y", length=2)
    latency = axes.twinx()
    slowest = outcome.load.slowest()
    latency.plot(
        [(second + 0.5) * speed for second in slowest],
        list(slowest.values()),
        color=INK,
        linewidth=1,
        zorder=4,
    )
    latency.set_ylim(bottom=0)
    latency.set_ylabel("slowest, s here", fontsize=9)
    latency.tick_params(axis="y", labelsize=9)
    latency.spines[["top", "left"]].set_visible(False)


def _draw_bars(axes: Any, outcome: Outcome, checks: Sequence[str], on_aws: Any, end: float) -> None:
    events = outcome.events
    dns, calling = "DNS: the zone answers", "DNS: customers call"
    places = [each.near for each in outcome.scenario.customers]
    lines = [(f"{name}{f' ({near})' if near else ''}", near) for near in places
             for name in (dns, calling)]  # fmt: skip
    names = [*(name for name, _ in lines), *[f"check: {c}" for c in checks]]
    rows = {name: len(names) - 1 - index for index, name in enumerate(names)}
    region_of = {a: seen.region for seen in events.dns for a in seen.addresses[:1]}
    colours = _colours(outcome)
    for row, near in lines:
        states = (
            [(on_aws(seen.at), seen.region or "") for seen in events.dns if seen.near == near]
            if row.startswith(dns)
            else [
                (on_aws(r.sent_at), region_of.get(r.address) or r.region or "")
                for r in events.requests
                if r.near == near
            ]
        )
        for start, stop, region in _stretches(states, end):
            colour = colours.get(region, QUIET)
            axes.broken_barh([(start, stop - start)], (rows[row] - 0.32, 0.64), color=colour)
    for check in checks:
        seen = [(on_aws(h.at), h.healthy) for h in events.health if h.check == check]
        for start, stop, healthy in _stretches(seen, end):
            axes.broken_barh(
                [(start, stop - start)],
                (rows[f"check: {check}"] - 0.32, 0.64),
                facecolor=QUIET if healthy else FAILURE,
                hatch="" if healthy else "////",
                edgecolor=QUIET if healthy else "white",
                linewidth=0,
            )
    axes.set_yticks(list(rows.values()), list(rows))
    axes.set_ylim(-0.6, len(names) - 0.4)
    _bare(axes)


def _draw_marks(panels: Sequence[Any], outcome: Outcome, on_aws: Any) -> None:
    events, measured = outcome.events, outcome.measurements
    detected = measured.detected_at if measured else None
    marks = [
        ("fault", events.when("injecting")),
        (f"detected by {measured.detected_by}" if measured else "", detected),
        ("cut-over", measured.cut_over_at if measured else None),
        ("restore", events.when("restoring")),
        ("failback", measured.failback_at if measured else None),
    ]
    reached = [(name, on_aws(at)) for name, at in marks if at is not None]
    for index, (name, at) in enumerate(reached):
        for axes in panels:
            axes.axvline(at, color=INK, linewidth=1, linestyle=(0, (4, 2)), zorder=2)
        panels[0].annotate(
            f"{name} {at:+.0f} s",
            (at, 1),
            xycoords=("data", "axes fraction"),
            # Two heights, so that neighbours do not run into each other.
            xytext=(2, 3 + 12 * (index % 2)),
            textcoords="offset points",
            fontsize=9,
            color=INK,
        )


def _legend(outcome: Outcome) -> list[Any]:
    def dot(colour: str, marker: str, label: str) -> Line2D:
        return Line2D([], [], color=colour, marker=marker, linestyle="", label=label)

    colours = _colours(outcome)

    return [
        *(dot(colour, "o", f"served by {region}") for region, colour in colours.items()),
        dot(FAILURE, "x", "failed request"),
        *_load_legend(outcome),
        *(Patch(color=colour, label=f"DNS: {region}") for region, colour in colours.items()),
        Patch(color=QUIET, label="healthy"),
        Patch(facecolor=FAILURE, hatch="////", edgecolor="white", label="unhealthy"),
    ]


def _load_legend(outcome: Outcome) -> list[Any]:
    if outcome.load is None:
        return []
    return [
        Patch(color=FAILURE, label="load: failed"),
        Patch(
            facecolor=THROTTLED, hatch=THROTTLED_HATCH, edgecolor="white", label="load: throttled"
        ),
        Line2D([], [], color=INK, linewidth=1, label="load: slowest request"),
    ]


def _colours(outcome: Outcome) -> dict[str, str]:
    """`{Region: colour}`."""
    return dict(zip(outcome.scenario.regions, cycle(REGIONS), strict=False))


def _checks(events: Events) -> list[str]:
    return sorted({seen.check for seen in events.health})


def _stretches(states: Sequence[tuple[float, Any]], end: float) -> list[tuple[float, float, Any]]:
    """Join states that follow each other into `(begin, end, state)`."""
    changes = [
        (at, state)
        for index, (at, state) in enumerate(states)
        if index == 0 or states[index - 1][1] != state
    ]
    ends = [*(at for at, _ in changes[1:]), end][: len(changes)]
    return [(at, max(at, stop), state) for (at, state), stop in zip(changes, ends, strict=True)]


def _bare(axes: Any) -> None:
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.grid(axis="x", color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
