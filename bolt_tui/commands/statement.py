"""`bolt statement` and `bolt positions --by strategy`: the books read from the journal, with their proof."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bolt_tui.books import DayOfBooks, read_books, read_day
from bolt_tui.commands import show
from bolt_tui.commands.exits import Exit
from bolt_tui.settings import Home, home_path
from engine.domain.clock import iso
from engine.domain.errors import SettingsError
from engine.domain.money import Money, text
from engine.ledger.statement import CashLines, PositionLine, Statement
from engine.market.carry_file import CARRY_NAME, CarryFile, read_carry
from engine.store.place import Place, read_place

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context

HEADERS = ("ACCOUNT", "WHAT", "CCY", "AMOUNT", "QTY", "PRICE", "NOTE")
RIGHT = ("AMOUNT", "QTY", "PRICE")
SUB_HEADERS = ("BROKER", "ACCOUNT", "SYMBOL", "STRATEGY", "QTY", "COST", "REALISED", "FEES", "CCY")
SUB_RIGHT = ("QTY", "COST", "REALISED", "FEES")
Line = tuple[str, ...]


def ledger_place(context: Context) -> Place:
    """The ledger that is named, or the one of the state folder."""
    named = context.args.ledger
    return read_place(named, Path.cwd()) if named else context.found.place


def statement(context: Context) -> Exit:
    """A day of each account, with its proof; STORE where something does not add up."""
    args = context.args
    day = read_day(ledger_place(context), args.day, args.account)
    told = [
        day.books.statement(broker, account, day.is_rate_fresh)
        for broker, account in day.books.accounts()
        if args.account in {"", account}
    ]
    if args.account and not told:
        known = ", ".join(sorted({account for _, account in day.books.accounts()})) or "none"
        raise SettingsError(f"no account {args.account} has cash or a position by then; there is {known}")
    is_proven = not any(one.faults for one in told)
    proof = {"seq": day.seq, "hash": day.hash, "adds_up": is_proven, "is_over": day.is_over}
    span = {"begins_ns": day.begins_ns, "ends_ns": day.ends_ns, "cut": day.cut, "as_of_ns": day.as_of_ns}
    end_ns = min(day.ends_ns, day.as_of_ns)
    carry = _carry(context, end_ns)
    later = {}
    if carry is not None:
        later = {one.account: day.books.unsettled(one.broker, one.account, carry, end_ns) for one in told}
    accounts = [{**_fields(one), "unsettled": _plain(later.get(one.account, {}))} for one in told]
    context.out.object("statement", {**span, "proof": proof, "accounts": accounts})
    _head(context, day)
    rows = [line for one in told for line in (*_lines(one), *_unsettled(one, later))]
    context.out.table(HEADERS, rows, RIGHT)
    for one in told:
        for fault in one.faults:
            context.out.line(f"DOES NOT ADD UP: {fault}")
    word = "adds up to the last unit" if is_proven else "DOES NOT ADD UP"
    context.out.line(f"proof: {word} against row {day.seq} of the ledger, hash {day.hash}")
    if not told:
        context.out.say("bolt: no account has cash or a position by then")
    return Exit.OK if is_proven else Exit.STORE


def _carry(context: Context, at_ns: int) -> CarryFile | None:
    """The file that says when trades settle around a time: the named one, or the state folder's."""
    if context.args.carry:
        return _with_days(read_carry(Path(context.args.carry)), at_ns)
    path = home_path() / CARRY_NAME
    return _with_days(read_carry(path), at_ns) if path.exists() else None


def _with_days(carry: CarryFile, at_ns: int) -> CarryFile:
    """Days without a session of the calendar that it names are days without settlement."""
    from engine.market.calendar import SessionTable
    from engine.market.own_sessions import load_sessions

    if not carry.calendar:
        return carry
    home = Home(home_path())
    table = load_sessions(carry.calendar, home.calendars, at_ns, at_ns, home.own_sessions)
    return carry.by_calendar(table) if isinstance(table, SessionTable) else carry


def _plain(days: dict[str, dict[date, Money]]) -> dict[str, dict[str, Money]]:
    return {currency: {str(day): amount for day, amount in found.items()} for currency, found in days.items()}


def _unsettled(one: Statement, later: dict[str, dict[str, dict[date, Money]]]) -> list[Line]:
    return [
        (one.account, "unsettled cash", currency, text(amount), "", "", f"settles on {due}")
        for currency, days in sorted(later.get(one.account, {}).items())
        for due, amount in sorted(days.items())
    ]


def _head(context: Context, day: DayOfBooks) -> None:
    end = "" if day.is_over else f", NOT OVER: as of {iso(day.as_of_ns)[:19]}Z"
    context.out.line(f"statement of {iso(day.begins_ns)[:16]}Z to {iso(day.ends_ns)[:16]}Z (day starts {day.cut}){end}")


def _fields(one: Statement) -> dict[str, Any]:
    cash = {name: {**show.fields(line), "missing": line.missing()} for name, line in one.cash.items()}
    return {**show.fields(one), "cash": cash}


def moved_words(held: PositionLine) -> str:
    """How a position came from the day's opening to its end, each size written the same way: ``bought 0.1 sold 0.1``."""
    sizes = (("opening", held.opening), ("bought", held.bought), ("sold", held.sold), ("other", held.other))
    return " ".join(f"{name} {text(size)}" for name, size in sizes)


def _lines(one: Statement) -> list[Line]:
    rows: list[Line] = []
    for currency, line in one.cash.items():
        rows += [(one.account, word, currency, amount, "", "", note) for word, amount, note in _cash(line, one.base)]
    for held in one.positions:
        rows.append(
            (
                one.account,
                f"position {held.symbol}",
                held.currency,
                text(held.cost),
                text(held.closing),
                "",
                moved_words(held),
            )
        )
        rows.append((one.account, f"realised {held.symbol}", held.currency, text(held.realised), "", "", ""))
        if held.closing:
            at = f"at the price of {iso(held.mark_ns)[:19]}Z" if held.mark is not None else "no price is journaled"
            amount = show.number(held.unrealised)
            rows.append(
                (one.account, f"unrealised {held.symbol}", held.currency, amount, "", show.number(held.mark), at)
            )
    rows.append((one.account, "unrealised", one.base, show.number(one.unrealised_base), "", "", "in base"))
    rows.append((one.account, "equity", one.base, show.number(one.equity_base), "", "", "in base"))
    return rows


def _cash(line: CashLines, base: str) -> list[tuple[str, str, str]]:
    moved = [(kind.replace("_", " "), text(amount), "") for kind, amount in sorted(line.movements.items())]
    note = ""
    if line.closing_base is None:
        note = f"no rate to {base}, or too old a one"
    elif line.rate_ns:
        note = f"{text(line.closing_base)} {base} at {line.rate} of {iso(line.rate_ns)[:19]}Z"
    return [
        ("opening cash", text(line.opening), ""),
        ("trades", text(line.trades), ""),
        ("fees", text(line.fees), ""),
        ("adjustments", text(line.adjustments), ""),
        *moved,
        ("closing cash", text(line.closing), note),
    ]


def by_strategy(context: Context) -> Exit:
    """What each strategy holds of the positions at the broker, and what is nobody's."""
    books, last = read_books(ledger_place(context))
    symbol = context.args.symbol.upper()
    found = [row for row in books.subs.rows() if symbol in {"", row[2]}]
    rows = [
        {
            "broker": broker, "account": account, "symbol": name, "strategy": strategy, "qty": held.qty, "cost": held.cost,
            "realised": held.realised, "fees": held.fees, "currency": held.currency,
        }
        for broker, account, name, strategy, held in found
    ]  # fmt: skip
    as_of = {
        "read_from": "ledger",
        "as_of_ns": 0 if last is None else last.ts_ns,
        "as_of_seq": 0 if last is None else last.seq,
    }
    context.out.object("positions_by_strategy", {"positions": rows, **as_of})
    shown = [
        (
            broker,
            account,
            name,
            strategy,
            str(held.qty),
            str(held.cost),
            str(held.realised),
            str(held.fees),
            held.currency,
        )
        for broker, account, name, strategy, held in found
    ]
    context.out.table(SUB_HEADERS, shown, SUB_RIGHT)
    if not rows:
        context.out.say("bolt: no positions")
    return Exit.OK
