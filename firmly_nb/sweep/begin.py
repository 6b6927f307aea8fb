"""From the arguments of ``lab.sweep`` to a sweep that runs.

Everything is checked before anything is sent.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any, cast

import httpx

from firmly_nb.api.models import Card
from firmly_nb.environments import Environment, guard, is_loopback
from firmly_nb.placing import Options
from firmly_nb.recording.recording import Recording
from firmly_nb.sweep.budget import Budget, BudgetError
from firmly_nb.sweep.claim import Claim
from firmly_nb.sweep.handle import Sweep
from firmly_nb.sweep.ledger import Ledger
from firmly_nb.sweep.pace import Pace
from firmly_nb.sweep.plan import Plan
from firmly_nb.sweep.plan_file import (
    FOLDER,
    PlanFile,
    is_known,
    kinds_of,
    recorded,
)
from firmly_nb.sweep.request import Request
from firmly_nb.sweep.run import Run
from firmly_nb.sweep.schedule import Arrival, Schedule, per_second
from firmly_nb.sweep.sender import Sender
from firmly_nb.sweep.stand_ins import StandIn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from firmly_nb.placing import Bench

GENTLE_RATE = "20/min"
# How many orders an open loop may have in flight where nothing is said.
STAGING_CONCURRENCY, LOCAL_CONCURRENCY = 4, 64


def begin(bench: Bench, orders: Any, card: Card | None, arguments: Mapping[str, Any]) -> Sweep:
    """Check everything, write the plan down and start the sweep.

    Raises
    ------
    ValueError
        If an argument is wrong; BudgetError if the plan is beyond the budget.
    GuardError
        If something of it may not be ordered there. Nothing was sent.
    """
    request, options = Request.of(arguments)
    before = PlanFile.read(bench.journal, request.resume) if request.resume else None
    written = _plan_file(bench.environment, request, before)
    plan = Plan(orders, written.count, written.seed, endless=written.duration_s is not None)
    written = replace(written, kinds=kinds_of(plan))
    _check_same(before, written)
    card = card or Card.test()
    for variant in plan.variants:
        guard(bench.environment, variant.order.domain, variant.card or card)
    ledger = Ledger(Budget.of(written.budget))
    sender = Sender(bench, Pace(_schedule(written)), ledger, _options(written, options), card)
    run = Run(plan, sender)
    _check_budget(run, explicit=request.budget is not None)
    claim = Claim(bench.journal / FOLDER, written.run_id)
    try:
        earlier = _earlier(bench, run, before)
        run.stand_ins = [StandIn.read(one) for one in written.stand_ins]
        if before is None:
            _check_new(bench, written.run_id)
        written.write(bench.journal)
    except BaseException:
        claim.release()
        raise
    return Sweep(run, written, bench.journal, earlier, claim)


def _earlier(bench: Bench, run: Run, before: PlanFile | None) -> list[Recording]:
    """Take over what earlier parts of the run placed."""
    if before is None:
        return []
    found = list(recorded(bench.journal, before.run_id, before.began_at_ns))
    for records, _ in found:
        run.was_done(records)
    return [Recording(*kept) for kept in found]


def _check_new(bench: Bench, run_id: str) -> None:
    """Refuse an id that is taken: what would be resumed with it would be two sweeps."""
    if is_known(bench.journal, run_id):
        raise ValueError(
            f"there is a sweep {run_id} already: resume={run_id!r} goes on with it; or give "
            "another run_id"
        )


def is_local(environment: Environment) -> bool:
    """Whether nobody else's system is behind an environment: every host is this machine."""
    urls = (environment.api_url, environment.card_url)
    return all(is_loopback(httpx.URL(url).host) for url in urls)


def _plan_file(where: Environment, request: Request, before: PlanFile | None) -> PlanFile:
    """Return what the sweep is to be: what was asked for, else what it was, else the defaults."""
    environment, local = where.name, is_local(where)
    given = request.checked()
    if before:
        if before.environment != environment:
            raise ValueError(
                f"the sweep {before.run_id} was placed on {before.environment}; this lab orders on "
                f"{environment}"
            )
        # What is not said anew stays: more orders are not more money.
        more = asdict(Budget.of(request.budget))
        given["budget"] = before.budget | {n: v for n, v in more.items() if v is not None}
        return replace(before, **given, run_id=before.run_id, message="")
    budget = Budget.of(request.budget).within(local=local)
    blank = PlanFile(
        run_id=f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(3)}",
        name="",
        tags={},
        environment=environment,
        began_at_ns=time.time_ns(),
        arrival="closed",
        rate_per_s=None,
        concurrency=1,
        duration_s=None,
        count=None,
        seed=0,
        budget=asdict(budget),
    )
    return replace(blank, **{**_default_schedule(request, local=local), **given})


def _default_schedule(request: Request, *, local: bool) -> dict[str, Any]:
    """Return how orders follow one another where it is not said: gently, where others are met."""
    is_open = request.rate is not None or request.arrival in {"constant", "poisson"}
    if not is_open and request.arrival is None and not local:
        is_open = True
    if not is_open:
        return {}
    if request.rate is None and local:
        raise ValueError(f'arrival={request.arrival!r} needs a rate, like rate="30/min"')
    return {
        "arrival": "constant",
        "rate_per_s": per_second(GENTLE_RATE),
        "concurrency": LOCAL_CONCURRENCY if local else STAGING_CONCURRENCY,
    }


def _schedule(written: PlanFile) -> Schedule:
    return Schedule(
        cast("Arrival", written.arrival),
        written.concurrency,
        written.rate_per_s,
        written.duration_s,
        written.seed,
    )


def _options(written: PlanFile, given: Mapping[str, Any]) -> Options:
    """Return the place options, with the run's id, name and tags."""
    allowed = {f.name for f in fields(Options)} - {"run_id", "tags"}
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise TypeError(
            f"a sweep knows no option {unknown[0]!r}; lab.place has {', '.join(sorted(allowed))}"
        )
    tags = {"sweep": written.name} if written.name else {}
    return Options(run_id=written.run_id, tags={**tags, **written.tags}, **given)


def _check_same(before: PlanFile | None, now: PlanFile) -> None:
    """Refuse to go on with other orders than the sweep began with."""
    if before and before.kinds and now.kinds and before.kinds != now.kinds:
        raise ValueError(
            f"the sweep {before.run_id} began with other orders than these; give it the same "
            "orders in the same sequence, or begin a new sweep"
        )


def _check_budget(run: Run, *, explicit: bool) -> None:
    """Refuse a plan that is known to be beyond the budget."""
    limit, size = run.ledger.budget.orders, run.plan.size
    if limit is None or size is None or size <= limit:
        return
    whose = "its budget" if explicit else "the budget that is set where none is given"
    raise BudgetError(
        f"the sweep has {size:,} orders, and {whose} is {limit:,}: "
        f"budget=fnb.Budget(orders={size}) allows them. Nothing was sent."
    )
