"""Rules of the control table that are no number against a limit. Each returns None where it holds, otherwise what was
found, what is allowed, and the sentence for a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from engine.domain.clock import iso
from engine.domain.events import BrokerState, TradingState
from engine.domain.money import DIGITS_MAX, EXACT, ZERO_QTY, Price, Qty, Rounding, text
from engine.domain.order import LinkRole, OrderSpec, OrderType, Side, SourceKind, Tif
from engine.risk.controls_case import Case, Role, collar_price, crosses, is_exit, is_short_sale
from engine.risk.controls_history import strategy_of
from engine.risk.exposure import CLOSED, OPEN, SYMBOL_HALTED, OpenOrder
from engine.risk.kill_switch import scope_words
from engine.risk.locates import located
from engine.risk.policy import SOURCES

Broken = tuple[str, str, str]

_ALWAYS = "24x7"
"""The calendar of what never closes."""
_IMMEDIATE = frozenset({Tif.IOC, Tif.FOK})

AUTHORITY_PATHS = {
    SourceKind(source): tuple(f"authority.{source}.{what}" for what in ("may_trade", "accounts", "symbols"))
    for source in SOURCES
}
"""Where the policy says whether a source may trade, in which accounts and which symbols."""


def policy_none(case: Case) -> Broken | None:
    """C36."""
    if case.policy is not None and case.policy.hash:
        return None
    return "none", "a checked policy", "no policy is loaded; mend policy.yaml (`bolt policy check`) and reload it"


def number_bad(case: Case) -> Broken | None:
    """C02."""
    spec = case.spec
    if spec.qty.__class__ is not Qty or not spec.qty.is_finite() or spec.qty <= 0:
        return str(spec.qty), "above 0", f"quantity {spec.qty} is no number above zero"
    for word, number in _numbers(spec):
        if isinstance(number, Decimal) and number.is_finite() and number and abs(number.adjusted()) > DIGITS_MAX:
            said = f"{word} {number:.2E} has more than {DIGITS_MAX} digits"
            return f"{number:.2E}", f"{DIGITS_MAX} digits", said
    instrument, terms = case.instrument, spec.type.terms
    below_zero = instrument is not None and instrument.price_negative
    return (
        _price_bad(spec.type, "limit price", spec.limit, is_needed=terms.limit, below_zero=below_zero)
        or _price_bad(spec.type, "stop price", spec.stop, is_needed=terms.stop, below_zero=below_zero)
        or _price_bad(spec.type, "trailing distance", spec.trail, is_needed=terms.trail, below_zero=False)
        or (None if spec.display is None else _display_bad(spec, spec.display))
        or _until_bad(spec, case.now_ns)
    )


def _numbers(spec: OrderSpec) -> Iterator[tuple[str, Decimal | None]]:
    yield "quantity", spec.qty
    yield "limit price", spec.limit
    yield "stop price", spec.stop
    yield "trailing distance", spec.trail
    yield "shown quantity", spec.display


def _price_bad(kind: OrderType, word: str, price: Price | None, *, is_needed: bool, below_zero: bool) -> Broken | None:
    if price is None:
        return ("missing", f"a {word}", f"a {kind} order needs a {word}") if is_needed else None
    if not is_needed:
        return text(price), f"no {word}", f"a {kind} order takes no {word}, but {price} was given"
    if price.__class__ is not Price or not price.is_finite():
        return str(price), "a finite decimal", f"{word} {price} is not a finite decimal"
    if price <= 0 and not below_zero:
        return text(price), "above 0", f"{word} {price} is not above zero"
    return None


def _display_bad(spec: OrderSpec, display: Qty) -> Broken | None:
    if display.__class__ is not Qty or not display.is_finite() or display <= 0:
        return str(display), "above 0", f"shown quantity {display} is no number above zero"
    if spec.limit is None or spec.tif in _IMMEDIATE:
        said = f"only a limit order that rests can show a part of itself, not {spec.type} {spec.tif}"
        return text(display), "no shown quantity", said
    if display > spec.qty:
        return text(display), text(spec.qty), f"shown quantity {display} is more than the order's {spec.qty}"
    return None


def _until_bad(spec: OrderSpec, now_ns: int) -> Broken | None:
    if spec.tif is not Tif.GTD:
        if not spec.expires_ns:
            return None
        return iso(spec.expires_ns), "no end", f"a {spec.tif} order takes no end of its own; write gtd with a time"
    if not spec.expires_ns:
        return "missing", "an end", "a gtd order needs the time at which it ends, such as gtd 15:30"
    if spec.expires_ns <= now_ns:
        return (
            iso(spec.expires_ns),
            f"after {iso(now_ns)}",
            f"the order would end at {iso(spec.expires_ns)}, which has passed",
        )
    return None


def instrument_unknown(case: Case) -> Broken | None:
    """C03."""
    if case.instrument is not None:
        return None
    return case.spec.symbol, "a known symbol", f"the terms of {case.spec.symbol} are not loaded; check the symbol"


def instrument_expired(case: Case) -> Broken | None:
    """C03."""
    made = case.instrument
    if made is None or made.expiry_ns is None or case.now_ns < made.expiry_ns:
        return None
    when = iso(made.expiry_ns)
    return when, "not expired", f"{made.symbol} expired at {when}; choose a later contract"


def rate_none(case: Case) -> Broken | None:
    """C03."""
    if case.rate is not None or case.instrument is None:
        return None
    currency, limit = case.instrument.currency, case.limits.get("fx.max_age_s")
    age_ns = case.view.rate_age(currency)
    if age_ns is not None and limit is not None and age_ns > limit.ns:
        return None  # there is one, and RATE_STALE says what is wrong with it
    return currency, "a rate", f"there is no rate from {currency} to the base currency; the amount cannot be judged"


def halted(case: Case) -> Broken | None:
    """C01."""
    if case.state is not TradingState.HALTED or (is_exit(case.candidate) and case.is_reducing):
        return None
    return _state(case, "active")


def reduce_state(case: Case) -> Broken | None:
    """C01."""
    if case.state is not TradingState.REDUCING:
        return None
    return _state(case, "active, or an order that shrinks the position")


def _state(case: Case, allowed: str) -> Broken:
    spec, parent = case.spec, case.parent
    strategy = strategy_of(case.candidate.source) or (parent.strategy if parent else "")
    algo = parent.algo if parent else spec.algo.name
    cause = case.kill.cause_for(spec.account, strategy, spec.symbol, algo)
    if cause is None:
        where = "the kill latch is tripped"
    else:
        where = f"{scope_words(cause.scope)} is {cause.state} ({cause.code}, {cause.who}: {cause.why})"
    return str(case.state), allowed, f"{where}; re-arm with `bolt rearm` when the cause is mended"


def recovering(case: Case) -> Broken | None:
    """C01."""
    if not case.view.recovering():
        return None
    return (
        "recovering",
        "recovered",
        "the engine ended uncleanly and has not reconciled yet; wait, or run `bolt reconcile`",
    )


def account_not_armed(case: Case) -> Broken | None:
    """C01."""
    policy, account = case.policy, case.spec.account
    if policy is not None and policy.allows("arm.accounts", account):
        return None
    allowed = ", ".join(policy.names("arm.accounts")) if policy else "none"
    return account, allowed, f"account {account} may not trade; allowed: {allowed}"


def live_not_armed(case: Case) -> Broken | None:
    """C01."""
    policy, broker = case.policy, case.spec.broker
    if policy is not None and (broker in policy.names("arm.paper_brokers") or policy.switch("arm.live")):
        return None
    return broker, "a paper broker", f"broker {broker} trades real money and live trading is off; see arm.live"


def intent_used(case: Case) -> Broken | None:
    """C12."""
    candidate = case.candidate
    if candidate.role is Role.CHILD:
        return None
    if not candidate.intent_id:
        return "none", "an intent id", "the order carries no intent id; its source must make one"
    owner = case.view.intent_owner(candidate.intent_id)
    if owner is None or owner == candidate.order_id:
        return None
    said = f"intent {candidate.intent_id} already made order {owner}; nothing is sent twice"
    return candidate.intent_id, "an unused id", said


def channel_not_up(case: Case) -> Broken | None:
    """C33."""
    state = case.view.channel(case.spec.broker)
    if state is BrokerState.UP:
        return None
    said = f"broker {case.spec.broker} is {state}; orders are taken again when it is up and reconciled"
    return str(state), str(BrokerState.UP), said


def ledger_unhealthy(case: Case) -> Broken | None:
    """C35."""
    if case.view.ledger_healthy():
        return None
    return "failing", "healthy", "the ledger takes no writes; see `bolt doctor` for the disk and the error"


def off_tick(case: Case) -> Broken | None:
    """C04."""
    made = case.instrument
    for price in (case.spec.limit, case.spec.stop, case.spec.trail):
        if made is None or price is None or made.is_on_tick(price):
            continue
        tick = made.tick_at(price)
        low, high = (made.round_price(price, mode) for mode in (Rounding.FLOOR, Rounding.CEILING))
        return (
            text(price),
            text(tick),
            f"{price} is not on the tick {tick} of {made.symbol}; nearest are {low} and {high}",
        )
    return None


def off_lot(case: Case) -> Broken | None:
    """C04."""
    made = case.instrument
    for qty in (case.spec.qty, case.spec.display):
        if made is not None and qty is not None and not made.is_on_lot(qty):
            said = f"quantity {qty} is no multiple of the lot {made.lot} of {made.symbol}"
            return text(qty), text(made.lot), said
    return None


def type_unsupported(case: Case) -> Broken | None:
    """C05."""
    spec = case.spec
    if case.caps is not None and (spec.type, spec.tif) in case.caps.types:
        return None
    known = sorted(f"{kind} {tif}" for kind, tif in case.caps.types) if case.caps else []
    listed = ", ".join(known) or "nothing (not configured)"
    return f"{spec.type} {spec.tif}", listed, f"{spec.broker} takes no {spec.type} {spec.tif} order; it takes {listed}"


def flag_unsupported(case: Case) -> Broken | None:
    """C05."""
    spec, caps = case.spec, case.caps
    asked = (
        ("post-only", spec.post_only),
        ("reduce-only", spec.reduce_only),
        ("amend", case.candidate.role is Role.AMEND),
        ("linked", spec.link is not None),
    )
    given = (caps.post_only, caps.reduce_only, caps.amend, caps.links) if caps else (False, False, False, False)
    for (word, is_asked), is_given in zip(asked, given, strict=True):
        if is_asked and not is_given:
            return word, "supported", f"{spec.broker} does not know {word}"
    return None


def short_unsupported(case: Case) -> Broken | None:
    """C05."""
    if case.caps is None or case.caps.short_sale or case.spec.side is Side.BUY or case.worst <= 0:
        return None
    worst = f"-{text(case.worst)}"
    return worst, "0", f"{case.spec.broker} holds no short positions; this order could lead to {worst}"


def symbol_restricted(case: Case) -> Broken | None:
    """C23."""
    symbol = case.spec.symbol
    if case.policy is not None and not case.policy.allows("symbols.restricted", symbol):
        return None
    return symbol, "not restricted", f"{symbol} is on the restricted list"


def symbol_not_allowed(case: Case) -> Broken | None:
    """C23."""
    symbol = case.spec.symbol
    if case.policy is not None and case.policy.allows("symbols.allowed", symbol):
        return None
    return symbol, "an allowed symbol", f"{symbol} is not on the allowed list"


def session_unknown(case: Case) -> Broken | None:
    """C24."""
    if case.view.session_open(case.spec.symbol, case.now_ns) is not None:
        return None
    symbol, words = case.spec.symbol, case.view.session_words(case.spec.symbol, case.now_ns)
    return "unknown", "a known calendar", f"the trading hours of {symbol} are not known at {iso(case.now_ns)}: {words}"


def session_closed(case: Case) -> Broken | None:
    """C24."""
    is_closed = case.view.session_open(case.spec.symbol, case.now_ns) is False
    if case.spec.tif is Tif.OPG:
        if is_closed:
            return None  # the venue takes it in its call phase, or refuses it
        if case.instrument is not None and case.instrument.calendar == _ALWAYS:
            said = f"{case.spec.symbol} never closes, so it has no opening auction; a day order trades now"
        else:
            said = f"the opening auction of {case.spec.symbol} is over at {iso(case.now_ns)}; a day order trades now"
        return "open", "before the open", said
    if not is_closed and (case.quote is None or case.quote.status != CLOSED):
        return None
    words = case.view.session_words(case.spec.symbol, case.now_ns) if is_closed else "the venue says that it is closed"
    return "closed", "open", f"{case.spec.symbol} is not in a trading session at {iso(case.now_ns)}: {words}"


def symbol_halted(case: Case) -> Broken | None:
    """C24."""
    if case.quote is None or case.quote.status in {OPEN, CLOSED}:
        return None
    status, symbol = case.quote.status, case.spec.symbol
    words = (
        f"has halted {symbol}" if status == SYMBOL_HALTED else f"has {symbol} in {status!r}, not in continuous trading"
    )
    return status, OPEN, f"the venue {words}; wait for it to resume"


def source_not_allowed(case: Case) -> Broken | None:
    """C30."""
    kind, spec, policy = case.candidate.source.kind, case.spec, case.policy
    paths = AUTHORITY_PATHS.get(kind)
    if policy is not None and paths is not None and policy.switch(paths[0]):
        for path, name in ((paths[1], spec.account), (paths[2], spec.symbol)):
            if not policy.allows(path, name):
                return name, path, f"{kind} may not trade {name}"
        return None
    why = (
        "an exit of the kill procedure must shrink the position" if kind is SourceKind.HALT else f"{kind} may not trade"
    )
    return str(kind), "a source with authority", why


def quote_none(case: Case) -> Broken | None:
    """C10."""
    return _quote(case, "QUOTE_NONE", "there is no quote of")


def quote_one_sided(case: Case) -> Broken | None:
    """C10."""
    return _quote(case, "QUOTE_ONE_SIDED", "the quote has one side only of")


def quote_unusable(case: Case) -> Broken | None:
    """C10."""
    return _quote(case, "QUOTE_UNUSABLE", "the quote holds no usable price of")


def quote_crossed(case: Case) -> Broken | None:
    """C10."""
    return _quote(case, "QUOTE_CROSSED", "bid and offer are crossed of")


def _quote(case: Case, code: str, words: str) -> Broken | None:
    if case.quote_fault != code:
        return None
    quote = case.quote
    sides = (quote.bid, quote.ask) if quote else (None, None)
    shown = "none" if sides == (None, None) else " / ".join("none" if side is None else str(side) for side in sides)
    return shown, "a two-sided quote", f"{words} {case.spec.symbol} ({shown}); wait for the market data"


def pnl_words(case: Case) -> str:
    """C21: why the result of the day is not known."""
    return case.view.pnl_words(case.spec.account)


def equity_words(case: Case) -> str:
    """C17, C18: why the equity is not known, or that it is not above zero."""
    return case.view.equity_words(case.spec.account)


def self_cross(case: Case) -> Broken | None:
    """C26."""
    worst = collar_price(case.ref, case.limit("price.collar_pct"), case.spec.side)
    for other in case.view.open_orders(None, case.spec.symbol):
        if crosses(case.spec, other, worst):
            return _crossed(case, other)
    return None


def _crossed(case: Case, other: OpenOrder) -> Broken:
    """Which own order it could meet, why it can, and what to do."""
    spec, collar = case.spec, case.limit("price.collar_pct")
    at = f" at {text(other.limit)}" if other.limit is not None else ""
    found = f"{other.order_id} {other.side} {other.leaves}{at}"
    said = f"it could trade with our own order {found}"
    if spec.limit is None and other.limit is not None and collar is not None:
        said += (
            f", as an order without a price may be done up to {text(collar.value)} % from the market ({collar.line})"
        )
    is_leg = spec.link is not None and spec.link.role is LinkRole.COMBO
    if other.limit is None or is_leg:
        return found, "no own opposite order", f"{said}; cancel {other.order_id} first"
    is_buy = spec.side is Side.BUY
    touch = None if case.quote is None else case.quote.ask if is_buy else case.quote.bid
    is_clear = touch is not None and (touch < other.limit if is_buy else touch > other.limit)
    way = (
        f"give it a limit {'below' if is_buy else 'above'} {text(other.limit)}{' (`@take` is one)' if is_clear else ''}"
    )
    return found, "no own opposite order", f"{said}; {way}, or cancel {other.order_id} first"


def short_locate(case: Case) -> Broken | None:
    """C25."""
    symbol = case.spec.symbol
    if not is_short_sale(case) or (case.policy is not None and case.policy.allows("short.locate_free", symbol)):
        return None
    account = case.spec.account
    promised = ZERO_QTY if case.policy is None else located(case.policy.names("short.locates"), account, symbol)
    # What is short since before this day needs no locate of today; what was sold short today has used its own up.
    used = case.view.short_used(account, symbol)
    needed = Qty(EXACT.add(used, EXACT.add(case.worst, min(case.position, ZERO_QTY))))
    if needed <= promised:
        return None
    if not promised:
        said = f"selling {symbol} short needs a borrow, and it is not among the symbols that need no locate; at most {_held(case)} can be sold"
        return f"-{text(case.worst)}", "no short position", said
    said = f"{text(promised)} {symbol} were located for {account}, {text(used)} of them are used; this could sell {text(needed)} short"
    return text(needed), text(promised), said


def short_price_test(case: Case) -> Broken | None:
    """C25."""
    spec, policy = case.spec, case.policy
    if not is_short_sale(case) or (policy is not None and not policy.allows("short.price_test", spec.symbol)):
        return None
    bid = None if case.quote is None else case.quote.bid
    if spec.limit is not None and bid is not None and spec.limit > bid:
        return None
    shown = str(spec.type) if spec.limit is None else text(spec.limit)
    said = f"{spec.symbol} is under a price test: a short sale must be above the bid, {bid}; give a limit above it"
    return shown, f"above {bid}", said


def _held(case: Case) -> str:
    return text(max(ZERO_QTY, Qty(case.position - case.open_sell)))


def parent_gone(case: Case) -> Broken | None:
    """C27."""
    candidate, parent = case.candidate, case.parent
    if candidate.role is not Role.CHILD and not candidate.parent_id:
        return None
    if parent is None:
        return candidate.parent_id or "none", "an open parent", "the child has no parent that is known"
    if parent.state.is_terminal or (parent.stopping and candidate.role is Role.CHILD):
        word = "stopping" if parent.stopping else str(parent.state)
        return word, "an open parent", f"parent {candidate.parent_id} is {word}; nothing more is sent for it"
    return None


def not_reducing(case: Case) -> Broken | None:
    """C16."""
    link = case.spec.link
    is_leg = link is not None and link.role is LinkRole.LEG
    if not case.spec.reduce_only or case.is_reducing or is_leg:
        return None  # the venue lets a leg work only as far as its entry has made a position
    held, added = case.position, case.added
    own = case.open_buy if case.spec.side is Side.BUY else case.open_sell
    is_against = held * case.spec.side.sign < 0
    room = max(ZERO_QTY, abs(held) - own) if is_against else ZERO_QTY
    said = f"reduce-only {case.spec.side} of {added} would not only shrink the position {held}; at most {room} would"
    return text(added), text(room), said
