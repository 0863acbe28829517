"""`bolt cash | fx | adjust | paper`: money by currency, stated rates, and what the owner of the paper account does beside trading."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bolt_tui.commands import show
from bolt_tui.commands.exits import Exit
from bolt_tui.commands.lists import now_or_kept
from brokers.paper.protocol import Act
from engine.domain.clock import SystemClock, iso, parse_iso
from engine.domain.commands import AdjustBooks, SetFxRates
from engine.domain.errors import MoneyError, SettingsError
from engine.domain.instrument import is_currency
from engine.domain.money import Money, Qty, Rate
from engine.domain.money_events import AdjustAs, Adjustment, FxRate

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context

CASH_HEADERS = ("BROKER", "ACCOUNT", "CCY", "CASH", "RATE", "RATE OF", "SOURCE", "IN BASE")
RATE_HEADERS = ("OF", "TO", "RATE", "AT", "SOURCE", "STATE")


def cash(context: Context) -> Exit:
    """Cash by currency, with the rate that it is worth in base currency by."""
    view, marks = now_or_kept(context)
    base = view.status.currency
    context.out.object("cash", {"cash": view.cash, "base": base, **marks})
    rows = [
        (
            row.broker,
            row.account,
            row.currency,
            str(row.amount),
            f"{row.rate} STALE".strip() if row.stale else row.rate,
            iso(row.rate_ns)[:19] if row.rate_ns else "",
            row.rate_source,
            show.number(row.base_amount),
        )
        for row in view.cash
    ]
    context.out.table((*CASH_HEADERS[:-1], f"IN {base}"), rows, ("CASH", "RATE", f"IN {base}"))
    if not rows:
        context.out.say("bolt: no cash is known yet; it comes with the first comparison with the broker")
    return Exit.OK


def fx_list(context: Context) -> Exit:
    """The stated rates."""
    view, marks = now_or_kept(context)
    context.out.object("fx", {"rates": view.rates, "base": view.status.currency, **marks})
    rows = [
        (row.of, row.to, row.rate, iso(row.ts_ns)[:19], row.source, "STALE" if row.stale else "") for row in view.rates
    ]
    context.out.table(RATE_HEADERS, rows, ("RATE",))
    if not rows:
        context.out.say("bolt: no rate was stated; `bolt fx set EUR USD 1.0850` states one")
    return Exit.OK


def fx_set(context: Context) -> Exit:
    """State one rate."""
    args = context.args
    of, to = currency(args.of), currency(args.to)
    try:
        rate = Rate(args.rate)
        at_ns = parse_iso(args.as_of) if args.as_of else SystemClock().now_ns()
    except (MoneyError, ValueError) as error:
        msg = f"{error}; expected as in: bolt fx set EUR USD 1.0850 --as-of 2026-11-27T15:00:00Z"
        raise SettingsError(msg) from None
    stated = FxRate(of=of, to=to, rate=rate, ts_ns=at_ns, source=args.by or context.source.name)
    with context.client() as client:
        return context.report(client.submit(SetFxRates(source=context.source, rates=(stated,))))


def fx_load(context: Context) -> Exit:
    """State every rate of a file."""
    from engine.market.fx_rates import read_fx

    rates = read_fx(Path(context.args.file)).rates
    with context.client() as client:
        return context.report(client.submit(SetFxRates(source=context.source, rates=rates)))


def adjust(context: Context) -> Exit:
    """Book cash or a position, with a reason."""
    args = context.args
    terms: dict[str, Any] = {"id": args.id, "as_": AdjustAs(args.kind), "broker": args.broker, "account": args.account}
    if not args.reason.strip():
        msg = "--reason is empty: say what this is and how you know; it is journaled as your word"
        raise SettingsError(msg)
    if args.cost or args.price:
        qty = Qty(amount(args.amount))
        if args.cost and args.price:
            msg = "--cost and --price exclude each other: the cost of all of it, or of one"
            raise SettingsError(msg)
        terms |= {"symbol": args.what.upper(), "qty": qty, "cost": _cost(context, qty)}
    else:
        terms |= {"cash": amount(args.amount), "currency": currency(args.what)}
    made = Adjustment(**terms, reason=args.reason)
    with context.client() as client:
        return context.report(client.submit(AdjustBooks(source=context.source, adjustment=made)))


def _cost(context: Context, qty: Qty) -> Money:
    """Signed cost of a position: ``--cost`` for all of it, or ``--price`` times quantity and multiplier."""
    args = context.args
    words = args.cost or args.price
    try:
        number = Money(words.replace("_", ""))
    except MoneyError as error:
        msg = f"cost was {words!r}: {error}; expected plain digits, such as 18900"
        raise SettingsError(msg) from None
    if number < 0:
        msg = f"cost was {words!r}; give it without a sign: it follows the quantity, and what is sold short has a negative quantity"
        raise SettingsError(msg)
    if args.cost:
        return number if qty > 0 else -number
    with context.client() as client:
        made = next((one for one in client.view().instruments if one.symbol == args.what.upper()), None)
    if made is None:
        msg = f"the terms of {args.what.upper()} are not known to the engine; give --cost for all of it"
        raise SettingsError(msg)
    return made.notional(number, qty)


def paper_convert(context: Context) -> Exit:
    """Change one currency into another at the paper broker."""
    args = context.args
    terms = {"amount": amount(args.amount), "currency": currency(args.of), "to": currency(args.to)}
    return _at_the_counter(context, Act.CONVERT, terms)


def paper_deposit(context: Context) -> Exit:
    """Pay into the paper account, or take out."""
    args = context.args
    terms = {"amount": amount(args.amount), "currency": currency(args.currency), "text": args.why}
    return _at_the_counter(context, Act.DEPOSIT, terms)


def paper_order(context: Context) -> Exit:
    """A manual order from another terminal."""
    args = context.args
    qty = Qty(amount(args.qty))
    return _at_the_counter(context, Act.ORDER, {"symbol": args.symbol_name.upper(), "qty": qty})


def paper_transfer(context: Context) -> Exit:
    """A position from or to another account."""
    args = context.args
    qty = Qty(amount(args.qty))
    cost = abs(amount(args.cost))
    terms = {"symbol": args.symbol_name.upper(), "qty": qty, "amount": cost if qty > 0 else -cost, "text": args.why}
    return _at_the_counter(context, Act.TRANSFER, terms)


def _at_the_counter(context: Context, act: Act, terms: dict[str, object]) -> Exit:
    from bolt_tui.client import NoEngine
    from bolt_tui.commands.context import NotNow
    from brokers.paperbroker import PaperSession
    from engine.domain.errors import VenueError, VenueRefused

    try:
        session = PaperSession(context.found.root)
    except VenueError as error:
        msg = f"{error}; the venue runs beside an engine: start one with `bolt` or `bolt headless`"
        raise NoEngine(msg) from None
    try:
        told = session.book(act, **terms)
    except VenueRefused as error:
        raise NotNow("VENUE_REFUSED", str(error)) from None
    finally:
        session.close()
    context.out.object("paper", {"act": act, "text": told})
    context.out.line(f"the paper broker booked: {told}")
    return Exit.OK


def currency(words: str) -> str:
    """A currency code; raises SettingsError."""
    found = words.upper()
    if not is_currency(found):
        msg = f"{words!r} is no currency code; expected 3 to 5 letters, such as EUR"
        raise SettingsError(msg)
    return found


def amount(words: str) -> Money:
    """An amount that is not zero; raises SettingsError."""
    try:
        found = Money(words.replace("_", ""))
    except MoneyError as error:
        msg = f"amount was {words!r}: {error}; expected plain digits, such as 2500.50"
        raise SettingsError(msg) from None
    if not found:
        msg = f"amount was {words!r}; it must not be zero"
        raise SettingsError(msg)
    return found
