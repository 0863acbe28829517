"""Drives one engine and one venue core over recorded rows in simulated time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bolt_tui.sim_driver import FOREVER_NS, SimDriver
from brokers.paper.bars import BarListing
from brokers.paper.config import VenueConfig
from brokers.paper.exchange import exchange_of
from brokers.paper.house_file import read_house
from brokers.paper.levels import QueueModel
from brokers.paper.realism import realism_report
from brokers.paper.replay_broker import ReplayBroker
from engine.api import Engine, EngineParts
from engine.domain import commands as co
from engine.domain import events as ev
from engine.domain.clock import SimClock, SystemClock, iso
from engine.domain.errors import DataError, InputError
from engine.domain.ids import seeded_ledger_id
from engine.domain.ledger_events import TapeAnchored
from engine.domain.money import EXACT, Money, Price, Qty, ratio, text
from engine.domain.order import OrderState, Source, SourceKind
from engine.intake.drafts import GrammarError
from engine.intake.grammar import GrammarContext, parse_order
from engine.intake.strategy_loader import load_strategies
from engine.market.calendar import ALWAYS, Calendar
from engine.market.carry_file import read_carry
from engine.market.fees import shipped_fees
from engine.market.formats.layout import BARS, LEVELS
from engine.market.history import History
from engine.market.history_files import read_history
from engine.market.official import officials_of
from engine.market.own_sessions import load_sessions
from engine.market.replay import Known, RecordedFile, check_together, merge, no_terms, open_all
from engine.market.rows import EXEC, HIDDEN, TRADE, listing_key
from engine.market.session_curve import curve_of, has_session_bins, read_days
from engine.market.sessions import Sessions
from engine.market.sidecar import parse_instrument
from engine.market.volume import Curve, read_curve, window_weights
from engine.risk.kill_switch import scope_words
from engine.risk.latch import Latch
from engine.risk.policy import PolicyHolder
from engine.store.journal import Journal
from engine.store.order import Order
from engine.store.place import Place

PRINTS = (EXEC, HIDDEN, TRADE)
BPS_DIGITS = 4
REMEMBERED = 2_000
"""Ended orders that the venue still answers for: it ends with the replay, so nobody asks for older ones."""
ROWS_BETWEEN_WORDS = 8192
"""So many rows between two words of progress: a power of two, some tenths of a second apart."""

Tell = Callable[[str], None]
"""Takes a passing word of progress."""


def tell_nobody(_words: str) -> None:
    """Progress that nobody watches."""


class ReplayAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay was asked for."""

    files: tuple[Path, ...]
    orders: tuple[str, ...]
    strategies: tuple[str, ...]
    """``NAME`` or ``NAME:param=value,...``."""
    seed: int
    at_ns: int
    until_ns: int
    instruments: tuple[str, ...]
    """Terms: none, one for all files, or one for each."""
    cash: Money
    is_cash_given: bool
    policy: Path
    curve: Path | None
    ledger: Place | None
    base: str = ""
    """Base currency; empty for the first instrument's."""
    fx: Path | None = None
    carry: Path | None = None
    house: Path | None = None
    calendars: Path
    """Folder of compiled session calendars."""
    own_sessions: Path | None = None
    """The user's own calendars."""
    queue: QueueModel = QueueModel()
    """Which cancels at our price were ahead of us, where only levels are known."""
    history: tuple[Path, ...] = ()
    """Files of what was before."""
    known: Known = no_terms
    """Terms of the registry, for a file that has none of its own."""


class Replay:
    """One run."""

    def __init__(self, ask: ReplayAsk, folder: Path, tell: Tell = tell_nobody) -> None:
        self.ask = ask
        self.tell = tell
        tell(f"reading {', '.join(path.name for path in ask.files)} ...")
        self.tapes = list(open_all(ask.files, [parse_instrument(words) for words in ask.instruments], known=ask.known))
        check_together(self.tapes)
        self.clock = SimClock(min(tape.first_ns for tape in self.tapes))
        first = self.tapes[0].instrument
        self.calendars = self._load_calendars()
        self.sessions = Sessions(self.calendars)
        self.history = self._history()
        self.curve = self._curve()
        self.tapes = [self._with_adv(tape) for tape in self.tapes]
        base = ask.base or first.currency
        self.journal = self._open_journal(base)
        exchange = None if ask.fx is None else exchange_of(ask.fx, base)
        self.rates = deque(sorted(() if exchange is None else exchange.rates, key=lambda rate: rate.ts_ns))
        """Stated rates whose moment is still to come, oldest first."""
        config = VenueConfig(
            seed=ask.seed,
            history_max=REMEMBERED,
            queue=ask.queue,
            fees=shipped_fees(),
            cash={base: ask.cash},
            exchange=exchange,
            carry=None if ask.carry is None else read_carry(ask.carry),
            house=None if ask.house is None else read_house(ask.house),
        )
        self.broker = ReplayBroker(config, self.clock)
        for tape in self.tapes:
            for venue in tape.venues or (tape.instrument.mic,):
                calendar = self.calendars[tape.instrument.calendar]
                if listing_key(tape.instrument.symbol, venue) not in self.broker.core.listings:
                    self.broker.core.list_instrument(
                        tape.instrument,
                        venue,
                        calendar,
                        by_level=tape.depth == LEVELS,
                        by_event=tape.by_event,
                        by_bar=tape.depth == BARS,
                    )
        self._name_officials()
        self.broker.core.start_carry(self.clock.now_ns())
        self.engine = Engine(
            EngineParts(
                journal=self.journal,
                clock=self.clock,
                brokers={"paper": self.broker},
                policy=PolicyHolder.from_file(ask.policy),
                latch=Latch.open(folder / "latch", ledger_used=False),
                mode="replay",
                strategies=load_strategies().strategies,
                sessions=self.sessions,
                history=self.history,
                weights=self._weights,
            )
        )
        self.driver = SimDriver(self.engine, self.broker, self.clock)
        listings = self.broker.core.listings.values()
        self.driver.bars = tuple(one for one in listings if isinstance(one, BarListing))
        self.results: list[tuple[str, co.CommandResult]] = []
        self.events = 0
        self.prints: list[tuple[int, str, int, int]] = []
        """(time, listing key, price, quantity) of every print since the first order."""

    def _name_officials(self) -> None:
        """Tell the venue which prints the files mark as official, for each listing of their symbol."""
        core = self.broker.core
        for key, listing in core.listings.items():
            marks = [mark for tape in self.tapes if tape.instrument.symbol == listing.symbol for mark in tape.marks]
            if marks:
                core.auctions.officials[key] = officials_of(marks, listing.calendar, listing.mic, listing.instrument)

    def _history(self) -> History:
        """History of the files that were given; of each symbol only what a strategy may know at its time comes out of it."""
        history = History(self.sessions)
        for made in {tape.instrument.symbol: tape.instrument for tape in self.tapes}.values():
            for path in self.ask.history:
                loaded = read_history(path, made)
                if loaded is not None:
                    history.add(loaded)
        return history

    def _weights(self, symbol: str, start_ns: int, end_ns: int, bins: int) -> tuple[list[int], str]:
        """By the curve that was given, for the first symbol; else by the history."""
        if self.curve is not None and symbol == self.tapes[0].instrument.symbol:
            return window_weights(self.curve, start_ns, end_ns, bins)
        return self.history.weights(symbol, start_ns, end_ns, bins)

    def _curve(self) -> Curve | None:
        """The curve of the first symbol."""
        tape = self.tapes[0]
        path = self.ask.curve or (Path(tape.curve) if tape.curve else None)
        made = tape.instrument
        if path is not None and has_session_bins(path):
            return curve_of(read_days(path, made.symbol), self.calendars[made.calendar], path.name, tape.first_ns)
        return None if path is None else read_curve(path, symbol=made.symbol)

    def _with_adv(self, tape: RecordedFile) -> RecordedFile:
        """The tape with its average daily volume: the stated one, else of the curve file's days before it, else none."""
        made = tape.instrument
        if made.adv is not None:
            return tape
        is_first = made.symbol == self.tapes[0].instrument.symbol
        found = self.curve.adv(tape.first_ns) if self.curve is not None and is_first else None
        past = self.history.adv(made.symbol, tape.first_ns)
        if found is None and past is not None and past[0] > 0:
            words = f"{made.symbol}: average daily volume {past[0]}, mean of {past[1]} days before in the history"
            made = msgspec.structs.replace(made, adv=past[0])
        elif found is None or not found[0]:
            words = f"{made.symbol}: average daily volume not known, order.max_notional_without_adv holds instead"
        else:
            made = msgspec.structs.replace(made, adv=Qty(found[0]))
            words = f"{made.symbol}: average daily volume {found[0]}, mean of {found[1]} days before in the curve file"
        return msgspec.structs.replace(tape, instrument=made, defaults=(*tape.defaults, words))

    def _load_calendars(self) -> dict[str, Calendar]:
        """Every calendar the tapes name, over their whole span; a replay waits for it, unlike a live engine."""
        first_ns, last_ns = min(tape.first_ns for tape in self.tapes), max(tape.last_ns for tape in self.tapes)
        names = dict.fromkeys(tape.instrument.calendar for tape in self.tapes)
        return {
            name: load_sessions(name, self.ask.calendars, first_ns, last_ns, self.ask.own_sessions) for name in names
        }

    def _open_journal(self, currency: str) -> Journal:
        ledger_id = seeded_ledger_id(self.ask.seed)
        if self.ask.ledger is None:
            return Journal.open_memory(self.clock.now_ns(), ledger_id, currency)
        return Journal.open(self.ask.ledger, self.clock.now_ns(), lambda: ledger_id, currency)

    def run(self) -> None:
        """Feed every row, with everything that falls due between rows, until all orders have ended."""
        engine, core, clock = self.engine, self.broker.core, self.clock
        for tape in self.tapes:
            engine.record(TapeAnchored(name=tape.name, sha256=tape.sha256, rows=tape.rows))
        engine.start()
        self.driver.settle()
        self._state_rates(clock.now_ns())
        due_ns = self.driver.due_ns()
        is_placed = False
        until_ns = self.ask.until_ns or FOREVER_NS
        on_row, market = core.on_row, engine.market
        rows = sum(tape.rows for tape in self.tapes)
        for key, row in merge(self.tapes):
            ts_ns = row[0]
            if ts_ns > until_ns:
                break
            if due_ns <= ts_ns:
                due_ns = self.driver.run_until(ts_ns)
                self._state_rates(ts_ns)
            clock.set_ns(ts_ns)
            market.alive_ns = ts_ns
            seen = engine.journal.head_seq
            on_row(key, row)
            self.events += 1
            if not self.events % ROWS_BETWEEN_WORDS:
                self.tell(f"{self.events} of {rows} rows, {iso(ts_ns)}")
            if is_placed:
                if row[1] in PRINTS:
                    self.prints.append((ts_ns, key, row[4], row[5]))
                if engine.journal.head_seq != seen:
                    self.driver.settle()
                due_ns = min(due_ns, core.next_due_ns() or FOREVER_NS)
                if (
                    not engine.store.parents_open
                    and not self.ask.strategies
                    and self.ask.carry is None
                    and self.ask.house is None
                ):
                    break
            elif ts_ns >= self.ask.at_ns and self._is_ready():
                is_placed = True
                self._place()
                due_ns = self.driver.due_ns()
        else:
            self.driver.run_until(self.clock.now_ns() + 1)
        if not is_placed:
            self._say_not_placed()
        self._end()

    def _state_rates(self, now_ns: int) -> None:
        """Tell the engine the rates whose moment has come: about once a second is asked."""
        due = []
        while self.rates and self.rates[0].ts_ns <= now_ns:
            due.append(self.rates.popleft())
        if not due:
            return
        stated = self.engine.submit(co.SetFxRates(source=Source(SourceKind.CLI, "replay"), rates=tuple(due)))
        if not stated.ok:
            raise InputError(f"--fx: {stated.text}")

    def _say_not_placed(self) -> None:
        named = sorted(name for name in self.calendars if name != ALWAYS)
        session = f" in a session of {', '.join(named)}" if named and not self.ask.at_ns else ""
        span = f"{iso(self.tapes[0].first_ns)} to {iso(self.tapes[-1].last_ns)}"
        msg = f"no order was placed: the file has no two-sided quote{session} at or after the asked time; its span is {span}"
        raise DataError(msg)

    def _is_ready(self) -> bool:
        engine = self.engine
        if engine.view_of_risk.channel("paper") is not ev.BrokerState.UP:
            return False
        for tape in self._wanted():
            quote = engine.market.quote(tape.instrument.symbol)
            if quote is None or quote.bid is None or quote.ask is None:
                return False
            # Who names a time is asked nothing: the gate says whether that time is in session.
            if not self.ask.at_ns and self.broker.core.status(tape.instrument.symbol) != "open":
                return False
        return True

    def _wanted(self) -> list[RecordedFile]:
        """The tapes of which a quote is awaited: of a file with many symbols those that an order names, else all."""
        words = {word for line in self.ask.orders for word in line.upper().replace("@", " ").split()}
        named = [tape for tape in self.tapes if tape.instrument.symbol in words]
        return named if named and not self.ask.strategies else self.tapes

    def _place(self) -> None:
        context = GrammarContext(
            instruments={tape.instrument.symbol: tape.instrument for tape in self.tapes},
            quote=self.engine.agent.quote,
        )
        source = Source(SourceKind.CLI, "replay")
        for number, line in enumerate(self.ask.orders, 1):
            draft = parse_order(line, context)
            if isinstance(draft, GrammarError):
                msg = f"--order {line!r}: {draft.text}"
                raise InputError(msg)
            result = self.engine.submit(draft.command(source, f"replay-{number}", why="replay"))
            self.results.append((line, result))
        for words in self.ask.strategies:
            name, _, rest = words.partition(":")
            params = dict(word.partition("=")[::2] for word in rest.split(",") if word)
            params.setdefault("symbol", self.tapes[0].instrument.symbol)
            started = self.engine.submit(co.SetStrategy(source=source, name=name, on=True, params=params))
            if not started.ok:
                msg = f"--strategy {words!r}: {started.text}"
                raise InputError(msg)
        self.driver.settle()

    def _end(self) -> None:
        self.engine.stop("replay ended")
        self.journal.commit()


def run_replay(ask: ReplayAsk, folder: Path, tell: Tell = tell_nobody) -> dict[str, Any]:
    """Run a replay and describe it: money and sizes as decimal text. ``tell`` hears how far it is.

    Raises:
        InputError: a file, an order or a term that cannot be used.
    """
    replay = Replay(ask, folder, tell)
    clock = SystemClock()
    begin_ns = clock.monotonic_ns()
    try:
        replay.run()
        taken_ns = clock.monotonic_ns() - begin_ns
        return _result(replay, taken_ns)
    finally:
        replay.journal.close()


def _result(replay: Replay, taken_ns: int) -> dict[str, Any]:
    engine = replay.engine
    parents = [order for order in engine.store.orders.all() if order.is_parent]
    if not parents:
        msg = "no order was made: the strategy found nothing to do in this file"
        raise DataError(msg)
    line = replay.results[0][0] if replay.results else ", ".join(replay.ask.strategies)
    parent = parents[0]
    view = {order.order_id: order for order in engine.view().orders}
    fills = [
        _fill(order_id, fill) for key, (order_id, fill) in engine.store.fills.items() if key not in engine.store.busted
    ]
    end_ns = parent.updated_ns
    average = None if not parent.qty_filled else Price(ratio(parent.value_filled, parent.qty_filled, 6))
    vwap = _interval_vwap(replay, parent.spec.symbol, parent.created_ns, end_ns)
    account = (replay.broker.name, replay.broker.account)
    symbol = parent.spec.symbol
    position = engine.ledger.position(*account, symbol)
    currency = engine.ledger.instrument(symbol).currency
    pnl = engine.view_of_risk.pnl_day(replay.broker.account)
    return {
        "schema": 1,
        "type": "replay",
        "mode": "PAPER",
        "files": list(dict.fromkeys(tape.name for tape in replay.tapes)),
        "order": line,
        "seed": replay.ask.seed,
        "parent": _plain(view[parent.order_id]),
        "why": {order.order_id: _why(order) for order in parents},
        "parents": [_plain(view[order.order_id]) for order in parents if order.order_id in view],
        "children": [_plain(view[child.order_id]) for child in parent.children if child.order_id in view],
        "denied": [
            msgspec.to_builtins(denial)
            for _, result in replay.results
            for denial in result.denials
            if result.state is OrderState.DENIED
        ],
        "fills": fills,
        "avg_price": None if average is None else text(average),
        "start_ns": parent.created_ns,
        "end_ns": end_ns,
        "interval_vwap": None if vwap is None else text(vwap),
        "vwap_slippage_bps": _slippage(average, vwap, parent.spec.side.sign),
        "fees": "0" if position is None else text(position.fees),
        "cash": text(engine.ledger.cash.get((*account, currency), Money(0))),
        "cash_all": {key[2]: text(amount) for key, amount in sorted(engine.ledger.cash.items())},
        "base": engine.ledger.base_currency,
        "pnl_base": None if pnl is None else text(pnl),
        "pnl_rate_ns": engine.view_of_risk.pnl_rate_ns(replay.broker.account),
        "movements": [_plain(made) for made in engine.ledger.moved.values()],
        "currency": currency,
        "position": "0" if position is None else text(position.qty),
        "conservation": engine.ledger.conservation_faults(),
        "policy_hash": engine.picture.status().policy_hash,
        "events": replay.events,
        "events_per_second": replay.events * 1_000_000_000 // max(1, taken_ns),
        "journal_rows": replay.journal.head_seq,
        "ledger_hash": replay.journal.head_hash.hex(),
        "realism": msgspec.to_builtins(_realism(replay)),
    }


def _silences(replay: Replay) -> tuple[str, ...]:
    """What was halted because its feed was silent for longer than the policy trusts a price: bars are, from one to the next."""
    held = [item for item in replay.engine.kill.held() if item.code == "STALE_WORKING"]
    said = (
        "and stayed so: its prices come further apart than monitor.max_stale_s; a --policy of your own may allow that"
    )
    return tuple(
        f"{scope_words(item.scope)} was halted at {iso(item.ts_ns)[:19]}Z ({item.why}) {said}" for item in held
    )


def _why(parent: Order) -> str:
    """Why a parent ended: the venue's word on its last child where it ended with that, else its own."""
    child = parent.children[-1] if parent.children and parent.note.startswith("its child ended ") else None
    return parent.note if child is None else child.note or parent.note


def _realism(replay: Replay) -> Any:
    ask = replay.ask
    defaults = [sentence for tape in replay.tapes for sentence in tape.defaults]
    notes = tuple(f"{tape.name}: {words}" for tape in replay.tapes for words in tape.findings) + _silences(replay)
    if not ask.is_cash_given:
        defaults.append(f"cash not given, used {text(ask.cash)}")
    if not ask.at_ns:
        defaults.append("time not given, orders were placed at the first two-sided quote")
    curve = "; ".join(f"{symbol}: {note}" for symbol, note in sorted(replay.engine.agent.weight_notes.items()))
    if curve:
        defaults.append(f"volume curve: {curve}")
    return realism_report(replay.broker.core, source="recorded", defaults=tuple(defaults), curve=curve, notes=notes)


def _fill(order_id: str, fill: ev.Fill) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "order_id": order_id,
        "ts_ns": fill.ts_ns,
        "side": fill.side.value,
        "price": text(fill.price),
        "qty": text(fill.qty),
        "venue": fill.venue,
        "liquidity": fill.liquidity.value,
        "fee": text(fill.fee),
        "fee_currency": fill.fee_currency,
        "tape_row": fill.tape_row,
        "fill_key": fill.fill_key,
        "guessed": fill.guessed,
    }
    if fill.rests_from_row:
        shown["rests_from_row"] = fill.rests_from_row
    if fill.note:
        shown["note"] = fill.note
    return shown


def _interval_vwap(replay: Replay, symbol: str, start_ns: int, end_ns: int) -> Price | None:
    """Volume-weighted price of the tape's own prints, visible and hidden, from the parent's start to its end."""
    tape = next(tape for tape in replay.tapes if tape.instrument.symbol == symbol)
    keys = {listing_key(symbol, venue) for venue in tape.venues}
    value = volume = 0
    for ts_ns, key, price, qty in replay.prints:
        if start_ns <= ts_ns <= end_ns and key in keys:
            value += price * qty
            volume += qty
    if not volume:
        return None
    units = ratio(EXACT.create_decimal(value), EXACT.create_decimal(volume), 8)
    return Price(EXACT.scaleb(units, -tape.instrument.price_digits))


def _slippage(average: Price | None, vwap: Price | None, sign: int) -> str | None:
    """Cost against the interval VWAP in basis points; above zero is worse than the market."""
    if average is None or vwap is None or not vwap:
        return None
    return text(ratio(EXACT.multiply(EXACT.subtract(average, vwap), 10_000 * sign), vwap, BPS_DIGITS))


def _plain(view: Any) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(ev.encode(view))
    return found
