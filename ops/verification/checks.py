"""All checks, in the order in which their findings are shown."""

from ops.verification import (
    answers,
    certificates,
    customers,
    health_checks,
    health_states,
    leftovers,
    parity,
    protections,
    records,
    regions,
    replication,
)
from ops.verification.finding import Check

CHECKS: tuple[Check, ...] = (
    leftovers.switch,
    leftovers.edge_faults,
    leftovers.table_faults,
    leftovers.health_function,
    records.records,
    answers.answers,
    health_checks.aim,
    health_checks.switch,
    health_states.state,
    certificates.issued,
    certificates.served,
    regions.own_url,
    regions.domain,
    regions.key,
    replication.replication,
    parity.routes,
    parity.functions,
    parity.stage,
    customers.keys,
    customers.limits,
    protections.protection,
    protections.parity,
)
