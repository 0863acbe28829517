"""What the kill procedure found and did, as one frozen record, a file and words for people."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import msgspec

from engine.domain.clock import NS_PER_MS, iso
from engine.domain.commands import HaltScope, HaltScopeKind
from engine.domain.money import Money, Qty, text
from engine.domain.order import Side
from engine.oms.broker_interface import VenueOrder, VenuePosition


class StepTime(msgspec.Struct, frozen=True):
    """When a step began and ended, in ns since the trigger; ``broker`` is empty for steps of the whole desk."""

    step: str
    broker: str
    began_ns: int
    ended_ns: int


class Residual(msgspec.Struct, frozen=True):
    """A position that a flatten left, and why."""

    symbol: str
    qty: Qty
    reason: str


class BrokerReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """One broker's part. Counts are what the venue's own lists showed, never what was merely asked for."""

    broker: str
    account: str = ""
    found: int = 0
    """Orders in scope that were seen open and were not to be kept, late arrivals included."""
    mass_cancel: bool = False
    cancels_sent: int = 0
    """Cancel requests that left, a mass cancel counting as one."""
    cancelled: int = 0
    """Found orders that are no longer open, less those whose whole rest the position change shows filled."""
    filled_meanwhile: dict[str, Qty] = {}
    """Signed change of the position between the first look and the verified end of the cancels, by symbol."""
    verified: bool = False
    """The venue twice listed nothing in scope but what was kept."""
    survivors: tuple[str, ...] = ()
    """Orders that were open at the last look, in words."""
    kept: tuple[str, ...] = ()
    unreachable: str = ""
    """Why the venue could not be asked at the end; empty where it could."""
    exits: tuple[str, ...] = ()
    """Flatten orders sent, in words."""
    residual: tuple[Residual, ...] = ()
    positions: tuple[VenuePosition, ...] = ()
    """At the last look that was answered."""
    cash: dict[str, Money] = {}
    notes: tuple[str, ...] = ()


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The whole procedure."""

    halt_id: str
    who: str
    why: str
    scope: HaltScope
    drill: bool
    started_ns: int
    """Wall clock at the trigger."""
    ended_ns: int
    durable: bool
    flatten: bool
    steps: tuple[StepTime, ...]
    brokers: tuple[BrokerReceipt, ...]
    notes: tuple[str, ...] = ()
    ledger_hash: str = ""
    """Of the ledger at the end, where the caller could read it."""

    @property
    def is_clean(self) -> bool:
        """Durable, every broker verified, nothing left that a flatten was asked to exit."""
        return self.durable and self.is_over

    @property
    def is_over(self) -> bool:
        """Every broker verified and asked to the end, nothing left that a flatten was asked to exit; the record may be missing."""
        return all(one.verified and not one.residual and not one.unreachable for one in self.brokers)


def order_words(order: VenueOrder) -> str:
    """``sell 100 AAPL stop 180 [wire/venue id]``."""
    parts = [str(order.side), str(order.qty - order.qty_filled), order.symbol, str(order.type).replace("_", "-")]
    parts += [str(price) for price in (order.stop, order.limit) if price is not None]
    return " ".join([*parts, f"[{order.wire_id or 'foreign'}/{order.venue_order_id}]"])


def position_change(
    before: tuple[VenuePosition, ...] | None, after: tuple[VenuePosition, ...] | None
) -> dict[str, Qty]:
    """Signed change between two looks, by symbol; empty where one of them had no answer."""
    if before is None or after is None:
        return {}
    first, last = ({held.symbol: held.qty for held in look} for look in (before, after))
    moves = {symbol: last.get(symbol, Qty(0)) - first.get(symbol, Qty(0)) for symbol in sorted({*first, *last})}
    return {symbol: move for symbol, move in moves.items() if move}


def filled_whole(gone: list[VenueOrder], change: dict[str, Qty]) -> int:
    """How many of these orders the change of position can hold in full, oldest first."""
    count = 0
    for order in gone:
        rest = order.qty - order.qty_filled
        move = change.get(order.symbol, Qty(0))
        if rest and move and (move > 0) == (order.side is Side.BUY) and abs(move) >= rest:
            change[order.symbol] = move - rest if order.side is Side.BUY else move + rest
            count += 1
    return count


def write_receipt(receipt: Receipt, folder: Path) -> Path:
    """Write the receipt as JSON that only its owner can read, flushed to disk; the path it has then.

    Raises:
        OSError: the disk refused; the receipt is still in memory for a screen.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{receipt.started_ns:020d}-{_file_word(receipt.halt_id)}.json"
    temporary = path.with_suffix(".part")
    body = msgspec.json.format(msgspec.json.encode(receipt, enc_hook=_encode), indent=2) + b"\n"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(body)
        file.flush()
        _flush(file.fileno())
    temporary.replace(path)
    folder_fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder_fd)
    finally:
        os.close(folder_fd)
    return path


def words(receipt: Receipt) -> str:
    """The receipt for people: what is over, what is not, and what to do about the rest."""
    scope = receipt.scope
    where = "global" if scope.kind is HaltScopeKind.GLOBAL else f"{scope.kind} {scope.name}"
    took = (receipt.ended_ns - receipt.started_ns) // NS_PER_MS
    head = f"{'DRILL ' if receipt.drill else ''}HALTED{', durable' if receipt.durable else ', NOT DURABLE'}: {where}"
    lines = [f"{head} by {receipt.who}: {receipt.why}", f"  at {iso(receipt.started_ns)}, took {took} ms"]
    for one in receipt.brokers:
        lines += _broker_words(one)
    lines += [f"  note: {note}" for note in receipt.notes]
    if not receipt.is_clean:
        lines.append("  NOT CLEAN: look at the broker's own screen and end what is listed above by hand")
    lines.append("  a drill: nothing stays halted" if receipt.drill else "  stays halted until `bolt rearm`")
    return "\n".join(lines)


def _broker_words(one: BrokerReceipt) -> list[str]:
    state = "verified" if one.verified else "NOT VERIFIED"
    if one.found:
        asked = "one request for all" if one.mass_cancel else "one request each"
        again = "" if one.cancels_sent <= (1 if one.mass_cancel else one.found) else ", some asked again"
        orders = "order" if one.found == 1 else "orders"
        counts = f"{one.cancelled} of {one.found} {orders} cancelled ({asked}{again}), {len(one.survivors)} still open"
    else:
        counts = "no order was working" if one.verified else "what works there is not known"
    lines = [f"  {one.broker} {one.account}: {state}; {counts}, {len(one.kept)} kept"]
    if one.unreachable:
        lines.append(f"    unreachable: {one.unreachable}")
    lines += [f"    survivor: {word}" for word in one.survivors]
    lines += [f"    kept: {word}" for word in one.kept]
    lines += [f"    filled meanwhile: {symbol} {qty}" for symbol, qty in one.filled_meanwhile.items()]
    lines += [f"    exit sent: {word}" for word in one.exits]
    lines += [f"    residual: {left.symbol} {left.qty}: {left.reason}" for left in one.residual]
    lines += [f"    position: {held.symbol} {held.qty}" for held in one.positions]
    lines += [f"    cash: {currency} {amount}" for currency, amount in one.cash.items()]
    return lines + [f"    note: {note}" for note in one.notes]


def _encode(value: object) -> str:
    if isinstance(value, (Qty, Money)):
        return text(value)
    msg = f"a receipt cannot hold {type(value).__name__}"
    raise NotImplementedError(msg)


def _file_word(name: str) -> str:
    return "".join(char if char.isalnum() or char in "-_" else "-" for char in name)[:64]


def _flush(fd: int) -> None:
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is None:
        os.fsync(fd)
    else:
        fcntl.fcntl(fd, full)
