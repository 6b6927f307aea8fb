"""Engine of a lab on the background loop: from a validated order to its recording.

:class:`Bench` holds client, devices, recorder and all else that is closed with the lab. Everything
is async; ``Lab`` is its thin face.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
import uuid
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import orjson
from anyio import CancelScope

from firmly_nb.api.card import encrypt_card
from firmly_nb.api.causes import Way, find_trust
from firmly_nb.api.errors import (
    LAB_CLOSED,
    CartNotFound,
    FirmlyError,
    error_from_payload,
    refuses_token,
    safe_text,
)
from firmly_nb.api.event_names import COMPLETE_ORDER
from firmly_nb.api.flow import Flow, complete_request, lines_of, request_of
from firmly_nb.api.headers import TRACEPARENT, traceparent
from firmly_nb.api.personal import personal_values
from firmly_nb.api.secrets import redact, redact_text
from firmly_nb.api.snapshots import find_snapshot, order_numbers, two_orders
from firmly_nb.calls import Calls
from firmly_nb.devices import Device, Devices
from firmly_nb.display.messages import coded_error, without_code
from firmly_nb.display.text import full_stop, printable, short_name
from firmly_nb.options import Options
from firmly_nb.outcomes import ANSWERED, PLACED, UNKNOWN, YES, judge_cart
from firmly_nb.recorder.job import Job
from firmly_nb.recorder.journal import Journal, JournalError, append_record, find_journal
from firmly_nb.recorder.process import Recalled, WorkerProcess
from firmly_nb.recorder.records import End, Record, Settled, Start, written_with
from firmly_nb.recorder.tables import judgement, last_snapshot
from firmly_nb.recorder.worker import Lanes, record_over
from firmly_nb.recordings.recording import Recording
from firmly_nb.recordings.show import answer_of
from firmly_nb.settings_file import FILE, FileSettings
from firmly_nb.wire.stamps import monotonic_ns
from firmly_nb.wire.transport import StampingTransport, proxy_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from firmly_nb.api.card import PublicKey
    from firmly_nb.api.client import FirmlyClient
    from firmly_nb.api.flow import Step
    from firmly_nb.api.models import Address, Card, Order
    from firmly_nb.api.secrets import Hidden, SecretStr
    from firmly_nb.environments import Environment
    from firmly_nb.sim.server import Simulator


NOTHING_SENT = "Nothing was sent."
SETTLE_S = 30.0  # for the cart that tells whether an order exists
MAX_CONNECTIONS = 100  # at once, as httpx; each device has one call at a time
MOST_EXACT_BYTES = 1024 * 1024


class Bench:
    """Part of a lab that lives on the background loop or in another process.

    Kept apart from ``Lab`` so that it can be closed when the lab itself is gone.
    """

    def __init__(
        self,
        environment: Environment,
        app_id: SecretStr,
        journal: Path,
        *,
        ca_file: str | None = None,
        kept: FileSettings | None = None,
        keep_personal: bool = False,
        milestones: tuple[str, ...] | None = None,
        simulator: Simulator | None = None,
    ) -> None:
        self.environment = environment
        self.app_id = app_id
        self.journal = journal
        is_secure = "https:" in {url[:6] for url in (environment.api_url, environment.card_url)}
        # What the settings file says; what was passed counts before it.
        self.kept = kept or FileSettings()
        named_by = FILE if ca_file is None and self.kept.ca_file else "ca_file"
        self.ca_file = ca_file or (self.kept.ca_file if is_secure else None)
        self.trust = find_trust(self.ca_file, named_by, secure=is_secure)
        self.keep_personal = keep_personal
        self.milestones = milestones
        self.simulator = simulator
        self.lock: Path | None = None  # a file that the recorder holds while it lives
        self._last: Recording | list[Record] | None = None  # a list: of an order under way
        self._client: FirmlyClient | None = None
        self._devices: Devices | None = None
        self._worker: WorkerProcess | None = None
        self._lanes: Lanes | None = None
        self._cart_lanes: Lanes | None = None
        self._building: dict[str, Calls] = {}  # carts of single calls, by domain
        self._flows: dict[str, tuple[Calls, Flow, Card]] = {}  # prepared, by recording id
        self._not_begun: dict[str, asyncio.Task[None]] = {}  # of those recorded in this process
        # What has to end before the rest is closed: a sweep would start new orders.
        self.before_close: list[Callable[[], Awaitable[None]]] = []
        # Who shows that it is closed, from the moment on at which it is.
        self.on_close: list[Callable[[], object]] = []
        self._is_closed = False  # what is still under way begins nothing more
        self._owner_pid = os.getpid()

    @property
    def last(self) -> Recording | None:
        """Recording of the last order, as far as it is; None if nothing of it was sent."""
        last = self._last
        return Recording([*last]) if isinstance(last, list) else last

    @last.setter
    def last(self, rec: Recording | None) -> None:
        self._last = rec

    def is_under_way(self, records: list[Record]) -> None:
        """Have ``last`` be an order whose records still come."""
        self._last = records

    @contextmanager
    def watch(self, is_begun: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Let Ctrl-C within the call of an order leave no earlier order as the last one.

        If nothing of it was recorded by then, it is said that nothing was sent; not of a sweep
        that ``is_begun``, which says itself how it stands.
        """
        before = self._last
        try:
            yield
        except KeyboardInterrupt as error:
            if self._last is before:
                self._last = None
                error.args = error.args or (() if is_begun() else (NOTHING_SENT,))
            raise

    def client(self) -> FirmlyClient:
        """Return the client for everything but placing."""
        if self._client is None:
            if self._is_closed:
                raise FirmlyError(*LAB_CLOSED)
            self._client = self.new_client()
        return self._client

    def new_client(self) -> FirmlyClient:
        """Return a client over connections of its own, which take the way that orders take.

        Raises
        ------
        OSError
            If the file of trusted certificates cannot be read.
        """
        from firmly_nb.api.client import FirmlyClient

        where, trust = self.environment, self.trust
        transport = StampingTransport(ssl_context=trust.context(), max_connections=MAX_CONNECTIONS)
        http = httpx.AsyncClient(transport=transport, trust_env=False)
        way = Way(trust, proxy_of, to_simulator=where.name == "simulator")
        return FirmlyClient(http, where.api_url, where.card_url, way)

    def devices(self) -> Devices:
        """Return the devices of this lab."""
        if self._devices is None:
            self._devices = Devices(self.client(), self.app_id)
        return self._devices

    def worker(self) -> WorkerProcess:
        """Return the recorder's process; it is started by its first order."""
        if self._worker is None:
            self._worker = WorkerProcess(
                self.environment.card_url,
                self.journal,
                self.ca_file,
                self.keep_personal,
                self.environment.api_url,
                self.lock,
            )
        return self._worker

    async def place(
        self,
        order: Order,
        card: Card,
        options: Options,
        on_record: Callable[[Record], None],
        called_ns: int,
    ) -> Recording:
        """Place one order. The guard must have been asked before.

        Its recording is in ``last`` from its first record on, which comes before anything is sent:
        also if it is cancelled, which then raises, or if nobody waits for its end. Its time runs
        from the call on, for everything: session, key, recorder, connection, stream.
        """
        deadline_ns = called_ns + round(options.timeout_s * 1e9)
        async with self.prepared(order, card, options, deadline_ns=deadline_ns) as job:
            # Of one order there is somebody who looks; the orders of a sweep are too many.
            looked_at = replace(job, exact_bytes=MOST_EXACT_BYTES)
            return await self.record(looked_at, on_record, settle=options.settle)

    @asynccontextmanager
    async def prepared(
        self,
        order: Order,
        card: Card,
        options: Options,
        key: PublicKey | None = None,
        deadline_ns: int | None = None,
    ) -> AsyncIterator[Job]:
        """Make an order ready to be sent: a device of its own for so long, and the card encrypted.

        Keys rotate and tokens expire: what is ready is to be sent within seconds, and a key that
        is given was fetched within the last ones.

        Raises
        ------
        FirmlyError
            If no session or key could be had in time; nothing was ordered.
        """
        left_s = options.timeout_s
        if deadline_ns is not None:
            left_s = (deadline_ns - monotonic_ns()) / 1e9
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(left_s):
                    device = await stack.enter_async_context(self.devices().take())
                    key = key or await self.client().payment_key()
            except TimeoutError:
                text = f"no session and key within timeout_s={options.timeout_s:g}"
                raise FirmlyError("Timeout", text) from None
            start = self._start(order.domain, order, card, options)
            self.devices().note(device, start.recording_id, order.domain)
            headers = options.headers
            if options.traceparent and start.request_id:
                headers = {**headers, TRACEPARENT: traceparent(start.request_id)}
            if isinstance(order, Flow):
                calls = _calls(start, options)
                calls.number, calls.captcha_token = device.number, order.captcha_token
                self._flows[start.recording_id] = calls, order, card
                stack.callback(self._flows.pop, start.recording_id)
                job = self._job_of(calls, order.steps[0], device.session.access_token)
                yield replace(job, deadline_ns=deadline_ns)
                return
            yield Job(
                start=start,
                body=order.wire(encrypt_card(card, key)),
                token=device.session.access_token,
                headers=headers,
                keep_raw=options.keep_raw,
                max_event_bytes=options.max_event_bytes,
                max_stream_bytes=options.max_stream_bytes,
                max_events=options.max_events,
                deadline_ns=deadline_ns,
            )

    async def record(
        self, job: Job, on_record: Callable[[Record], None], *, settle: bool = False
    ) -> Recording:
        """Send what was prepared, at its planned time where it has one, and record it.

        To ``settle`` asks for its cart where it is unknown whether there is an order.

        Raises
        ------
        Recalled
            If it was taken back with :meth:`recall` before it was begun; nothing was sent.
        """
        records: list[Record] = []
        failures: list[str] = []
        tell = _listening(on_record, failures)

        def keep(item: Record) -> None:
            records.append(item)
            if isinstance(item, Start):
                self.is_under_way(records)
            tell(item)

        try:
            if job.call:
                await self._record_flow(job, keep)
            else:
                await self._record_one(job, keep)
        finally:
            if records:
                self.last = Recording(records, _callback_failures(failures))
        if not records or self.last is None:
            raise coded_error(
                RuntimeError,
                "FNB602",
                "The recorder left no record of the order, which may exist. Check it at the "
                "merchant.",
            )
        # Taken now: while a cart is asked for, other orders end.
        rec = self.last
        self._heed_refusal(rec)
        return await self._settled(rec, job.token, must=False) if settle else rec

    def _heed_refusal(self, rec: Recording) -> None:
        """Have the session of an order renewed before the next one, if its token was refused."""
        end = rec.recorded.end
        session = self.devices().session_of(rec.recording_id)
        if session and end.outcome in ANSWERED and refuses_token(end.error_code, end.http_status):
            self.devices().refused(session)

    async def _record_one(self, job: Job, keep: Callable[[Record], None]) -> None:
        if self._is_closed:
            raise FirmlyError(*LAB_CLOSED)
        if job.start.recorder["process"] == "own":
            await self.worker().place(job, keep)
        else:
            await self._place_here(job, keep)

    async def _record_flow(self, job: Job, keep: Callable[[Record], None]) -> None:
        """Send the calls of a flow one after another, the prepared one first."""
        calls, order, card = self._flows[job.start.recording_id]

        def take(record: Record) -> None:
            calls.take(record)
            keep(record)

        try:
            await self._record_one(job, take)
            for step in order.steps[1:]:
                if calls.failure:
                    break
                await self._record_one(self._job_of(calls, step, job.token), take)
            if not calls.failure:
                billing = order.billing_info or order.shipping_info
                complete = await self._complete_job(calls, card, billing, job.token)
                await self._record_one(complete, take)
        finally:
            # Also of one that was cancelled, or whose key could not be had.
            if calls.records and not calls.ended:
                take(self._end_of_left(calls))

    def _job_of(self, calls: Calls, step: Step, token: Hidden) -> Job:
        """Make the job of a step; the first line item goes into an empty cart."""
        if step.name == "add_line_item" and not calls.has_line:
            step = step.model_copy(update={"flush_cart": True})
        request = request_of(step, calls.cart)
        if step.item and calls.cart_json is None:
            asked = {"variant_id": step.item.variant_id, "quantity": step.item.quantity}
            calls.start = replace(calls.start, items=[asked])
        if step.name == "set_shipping_info":
            calls.shipping_info = step.address
        return calls.job(request, step.event, token, [step.address] if step.address else [])

    async def _complete_job(
        self, calls: Calls, card: Card, billing_info: Address, token: Hidden
    ) -> Job:
        encrypted = encrypt_card(card, await self.client().payment_key())
        request = complete_request(encrypted, billing_info, calls.captcha_token)
        who = [billing_info, {"first_name": card.name}]
        return calls.job(request, COMPLETE_ORDER, token, who)

    def _end_of_left(self, calls: Calls) -> End:
        """Return the end of an order that was left, and write it into its journal."""
        return self._written(calls.start, calls.left())

    def begin_flow(self, domain: str, options: Options) -> Calls:
        """Return a flow that nothing was sent of."""
        start = self._start(domain, None, None, options)
        return _calls(start, options)

    async def call(
        self, calls: Calls, step: Step, on_record: Callable[[Record], None]
    ) -> dict[str, Any]:
        """Send one call of a flow and return the cart.

        Raises
        ------
        FirmlyError
            If it failed; the flow can go on.
        """
        async with self._device_of(calls) as device:
            job = self._job_of(calls, step, device.session.access_token)
            await self._record_one(job, _taking(self, calls, on_record))
            if failure := calls.error:
                raise failure  # here, so that a session that ended is renewed
        return calls.cart or {}

    async def complete(
        self,
        calls: Calls,
        card: Card,
        billing_info: Address,
        on_record: Callable[[Record], None],
    ) -> Recording:
        """Send the call of a flow that orders; the guard must have been asked before."""
        async with self._device_of(calls) as device:
            token = device.session.access_token
            job = await self._complete_job(calls, card, billing_info, token)
            try:
                await self._record_one(job, _taking(self, calls, on_record))
            finally:
                if calls.ended:
                    rec = self.last = _recording(calls)
                    self._heed_refusal(rec)
                    self._hand_back(calls)
            return await self._settled(rec, token, must=False) if calls.settle else rec

    async def change(self, domain: str, step: Step) -> dict[str, Any]:
        """Send a single call about the cart that this lab has at a merchant."""
        if domain not in self._building:
            self._building[domain] = self.begin_flow(domain, Options())
        calls = self._building[domain]
        async with self._device_of(calls) as device:
            request = request_of(step, calls.cart)
            cart = await self.client().change_cart(
                request.method, domain, request.path, device.session.access_token, request.body
            )
            calls.cart_json = orjson.dumps(redact(cart))
        if step.name == "set_shipping_info":
            calls.shipping_info = step.address
        return calls.cart or {}

    def flow_of_single_calls(self, domain: str, options: Options) -> Calls:
        """Return a flow of one call: it orders what the single calls put into a cart."""
        built, number = self._building.get(domain), None
        if self._devices and not built:
            number = self._devices.by_domain.get(domain)
        calls = self.begin_flow(domain, options)
        calls.number = built.number if built else number
        if built:
            calls.cart_json, calls.shipping_info = built.cart_json, built.shipping_info
            calls.start = replace(calls.start, items=lines_of(built.cart))
        return calls

    def _hand_back(self, calls: Calls) -> None:
        """Let others have the device of a flow that has ended, unless its cart is still wanted."""
        domain, number = calls.start.domain, calls.number
        built = self._building.get(domain)
        if built and built.number == number:
            if Recording(calls.records).outcome != PLACED:
                return
            del self._building[domain]
        if number is not None:
            self.devices().reserved.discard(number)

    def leave(self, calls: Calls) -> None:
        """End a flow that is left, and hand its device back; safe to call again."""
        self._hand_back(calls)
        if calls.records and not calls.ended:
            calls.take(self._end_of_left(calls))
            self.last = _recording(calls)

    @asynccontextmanager
    async def _device_of(self, calls: Calls) -> AsyncIterator[Device]:
        """Hand out the device of a flow; the first call reserves one."""
        devices = self.devices()
        if calls.number is None:
            calls.number = await devices.reserve()
        async with devices.take(calls.number) as device:
            if not calls.records:
                devices.note(device, calls.start.recording_id, calls.start.domain)
            yield device

    async def settle(self, rec: Recording) -> Recording:
        """Ask the merchant's cart whether an order exists, where that is unknown.

        Raises
        ------
        LookupError
            If the order was not placed in this lab.
        FirmlyError
            If the cart cannot be asked for.
        """
        if rec.order_exists != UNKNOWN:
            return rec
        return await self.devices().for_order(rec, partial(self._settled, rec, must=True))

    async def _settled(self, rec: Recording, token: Hidden, *, must: bool) -> Recording:
        """Ask with the token of the device that placed the order, and write down what was found.

        A cart that cannot be asked for is an error only if it ``must`` be; the order was placed.
        """
        if rec.order_exists != UNKNOWN:
            return rec
        start, events, end, cut_off, warnings = rec.recorded
        said = [*end.warnings, *(warnings if cut_off else ())]
        try:
            seen, more = await self._look_at_cart(rec, token)
            end = end.changed(settled=seen, warnings=[*said, *more])
        except FirmlyError as error:
            if must:
                raise
            # Without its advice: to try again would be to order again.
            words = full_stop(": ".join(filter(None, (error.error, error.description))))
            text = f"the cart could not be asked for: {words} lab.settle(rec) asks again"
            end = end.changed(warnings=[*said, text])
        end = self._written(start, end)
        # Of one without an end the end of the file says no more that it was cut off.
        settled = Recording([start, *events, end], () if cut_off else warnings)
        if self.last and self.last.recording_id == settled.recording_id:
            self.last = settled
        return settled

    async def _look_at_cart(self, rec: Recording, token: Hidden) -> tuple[Settled, list[str]]:
        """Return what the cart says of the order, and what is to be warned of."""
        answer, found = None, "the device has no cart"
        try:
            async with asyncio.timeout(SETTLE_S):
                answer = redact(await self.client().cart(rec.domain, token))
        except CartNotFound:
            pass
        except TimeoutError:
            late = f"the cart did not respond within {SETTLE_S:g} s"
            raise FirmlyError("Timeout", late) from None
        start, events, end, *_ = rec.recorded
        cart, seen = find_snapshot(answer), last_snapshot(start, events, end)
        numbers = order_numbers(answer)
        number = next(iter(numbers), None) or (cart and cart.letters)
        if seen and seen.cart_id:
            is_same: bool | None = cart is not None and cart.cart_id == seen.cart_id
        else:
            device = self.devices().by_recording.get(rec.recording_id)
            alone = device is not None and self.devices().placed[device, rec.domain] == 1
            is_same = alone or None
        # What an earlier question found is asked anew.
        before = judgement(start, events, end.changed(settled=None), None).evidence
        error = error_from_payload(answer)
        if cart:
            found = "the cart says no status"
        elif isinstance(answer, dict) and answer.get("error") and type(error) is not CartNotFound:
            found = f"its response has the error {short_name(error.error)}"
        judged = judge_cart(
            before,
            is_same=is_same,
            cart_status=cart and cart.status and short_name(cart.status),
            number=number and printable(number, 80),
            found=found,
        )
        exists = judged.order_exists == YES
        more = two_orders(numbers) if exists else ""
        settled = Settled(judged.order_exists, judged.evidence, number if exists else None)
        return settled, [more] if more else []

    def _written(self, start: Start, end: End) -> End:
        """Put the end of a settled order into its journal, so that it loads settled."""
        path = find_journal(self.journal, start.recording_id)
        try:
            if path:
                append_record(path, start, end, keep_personal=self.keep_personal)
        except JournalError as error:
            text = f"not everything is on disk: {without_code(str(error))}"
            return end.changed(warnings=[*end.warnings, text])
        return end

    def recall(self, recording_id: str) -> None:
        """Take an order back that waits for its planned start; one that is begun goes on."""
        if task := self._not_begun.pop(recording_id, None):
            task.cancel()
        elif self._worker:
            self._worker.recall(recording_id)

    async def aclose(self) -> None:
        """Close connections and processes; those of a parent are the parent's to close."""
        if self._owner_pid != os.getpid():
            return
        for tell in list(self.on_close):
            tell()
        for end in list(self.before_close):
            await end()
        self._is_closed = True
        if self._worker:
            await self._worker.aclose()
        for lanes in filter(None, (self._lanes, self._cart_lanes)):
            await lanes.aclose()
        if self._client:
            await self._client.http.aclose()
        if self.simulator:
            self.simulator.stop()

    async def _place_here(self, job: Job, on_record: Callable[[Record], None]) -> None:
        """Record in this process, in a task that is cancelled once and then left to clean up."""
        recording_id = job.start.recording_id

        def begun(item: Record) -> None:
            self._not_begun.pop(recording_id, None)
            on_record(item if isinstance(item, Start) else item.packed())

        task = asyncio.create_task(self._record_here(job, begun))
        self._not_begun[recording_id] = task
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            waiting = asyncio.current_task()
            if task.cancelled() and not (waiting and waiting.cancelling()):
                raise Recalled("taken back before it was begun") from None
            task.cancel()
            # The background loop's scope would cancel this waiting, too, again and again.
            with CancelScope(shield=True):
                await asyncio.wait({task})
            raise
        finally:
            self._not_begun.pop(recording_id, None)

    async def _record_here(self, job: Job, on_record: Callable[[Record], None]) -> None:
        where = self.environment
        if self._lanes is None:
            is_simulator = where.name == "simulator"
            self._lanes = Lanes(where.card_url, self.trust, to_simulator=is_simulator)
            self._cart_lanes = self._lanes
            if where.api_url != where.card_url:
                self._cart_lanes = Lanes(where.api_url, self.trust, to_simulator=is_simulator)
        journal = Journal(self.journal, keep_personal=self.keep_personal)
        lanes = self._lanes if job.ends else self._cart_lanes
        await record_over(lanes or self._lanes, journal, job, on_record)

    def _start(
        self, domain: str, order: Order | None, card: Card | None, options: Options
    ) -> Start:
        infos = (order.shipping_info, order.billing_info) if order else ()
        addresses = [info.model_dump() for info in infos if info]
        addresses += [{"first_name": card.name}] if card else []
        items = order.items if order else ()
        return Start(
            recording_id=f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}",
            started_at_ns=time.time_ns(),
            environment=self.environment.name,
            domain=domain,
            items=[{"variant_id": i.variant_id, "quantity": i.quantity} for i in items],
            sse=options.sse,
            connection="warm" if options.warm else "cold",
            timeout_s=options.timeout_s,
            milestones=list(self.milestones) if self.milestones else None,
            run_id=options.run_id,
            tags={redact_text(str(k)): redact_text(str(v)) for k, v in options.tags.items()},
            recorder={**written_with(), "process": "own" if options.isolated else "shared"},
            personal=[*personal_values(*addresses)],
            # An order is sent once, so an id never comes twice.
            request_id=str(uuid.uuid4()),
            server=urlsplit(self.environment.card_url).netloc,
        )


def _calls(start: Start, options: Options) -> Calls:
    return Calls(
        replace(start, flow=True, sse=False, milestones=None),
        options.headers,
        options.max_event_bytes,
        options.settle,
    )


def said_of_interrupted(rec: Recording | None, *, done: bool) -> str:
    """Say of an order that Ctrl-C ended whether there may be one."""
    if rec is None and done:
        return NOTHING_SENT
    if rec is None or not done:
        return "The order is still being ended. lab.last tells of it; None: nothing was sent."
    return f"{answer_of(rec, 'lab.settle(lab.last)')} lab.last has what was recorded."


def _recording(calls: Calls) -> Recording:
    return Recording(calls.records, _callback_failures(calls.callback_failures))


def _taking(
    bench: Bench, calls: Calls, on_record: Callable[[Record], None]
) -> Callable[[Record], None]:
    tell = _listening(on_record, calls.callback_failures)

    def told(record: Record) -> None:
        calls.take(record)
        if isinstance(record, Start):
            bench.is_under_way(calls.records)
        tell(record)

    return told


def _listening(
    on_record: Callable[[Record], None], failures: list[str]
) -> Callable[[Record], None]:
    """Return a callback that notes what somebody's callback raised: the order goes on."""

    def told(record: Record) -> None:
        try:
            on_record(record)
        # Also sys.exit() and the like: they would end the loop of every lab.
        except BaseException as error:  # noqa: BLE001 - it is said with the recording
            name, words = type(error).__name__, safe_text(error)
            failures.append(name if words == name else f"{name}: {words}")

    return told


def _callback_failures(failures: list[str]) -> list[str]:
    if not failures:
        return []
    times = "once" if len(failures) == 1 else f"{len(failures)} times"
    return [f"on_record failed {times}: {failures[0]}. The recording is whole."]
