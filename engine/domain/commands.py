"""What a source may ask of the engine. Frozen; made anywhere, decided in the engine only.

Each command that can place an order carries an *intent id* born in the client: asked again with the same id, the
engine reports what became of it and never sends again.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from engine.domain.money import Money, Price, Qty
from engine.domain.money_events import Adjustment, FxRate
from engine.domain.order import OrderSpec, OrderState, Source


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="cmd"):
    """Base of all commands."""

    source: Source


class NewOrder(Command, frozen=True, kw_only=True, tag="new"):
    """Place a parent order (or stage it)."""

    intent_id: str
    spec: OrderSpec
    why: str
    """One sentence; a strategy must give it, a person may leave it empty."""
    staged: bool = False
    confirmed: frozenset[str] = frozenset()
    """Reason codes a person has seen in the preview and confirms (only codes marked confirmable)."""
    words: str = ""
    """The line that was typed, where it was: the same line asked again may freeze to another price."""
    linked: tuple[OrderSpec, ...] = ()
    """Orders that go with it in one message, each with its ``link``, as ``spec`` then has one: legs behind an entry, or peers."""


class Preview(Command, frozen=True, kw_only=True, tag="preview"):
    """Run every check on an order without placing it. Changes nothing, is not journaled."""

    spec: OrderSpec
    linked: tuple[OrderSpec, ...] = ()
    """Orders that would go with it."""
    order_id: str = ""
    """Of the working order that would be amended to these terms, or of the staged one whose own terms are judged; empty for a
    new order."""


class LookUp(Command, frozen=True, kw_only=True, tag="look_up"):
    """Ask what became of an intent id, without ordering. Changes nothing, is not journaled."""

    intent_id: str
    words: str = ""
    """The line that would be sent with it: another line than the first one's is refused."""


class CancelOrder(Command, frozen=True, kw_only=True, tag="cancel"):
    """Cancel one order by its id (``P104`` cancels its children and stops its algorithm)."""

    order_id: str


class CancelAll(Command, frozen=True, kw_only=True, tag="cancel_all"):
    """Cancel all working orders, of one symbol where it is given."""

    symbol: str = ""


class AmendOrder(Command, frozen=True, kw_only=True, tag="amend"):
    """Change quantity (total), limit or stop of a working order. Passes the gate like a new order."""

    intent_id: str
    order_id: str
    qty: Qty | None = None
    limit: Price | None = None
    stop: Price | None = None
    confirmed: frozenset[str] = frozenset()
    """Reason codes that the person has confirmed."""


class ReleaseOrder(Command, frozen=True, kw_only=True, tag="release"):
    """Release a staged order."""

    order_id: str
    confirmed: frozenset[str] = frozenset()
    """Reason codes that the person has confirmed."""


class ApproveOrder(Command, frozen=True, kw_only=True, tag="approve"):
    """A second person's word on a waiting order: exactly the one with that hash is released."""

    order_id: str
    order_hash: str
    confirmed: frozenset[str] = frozenset()
    """Reason codes that this person has confirmed."""


class PauseOrder(Command, frozen=True, kw_only=True, tag="pause"):
    """Let a parent that is worked over time send nothing more for now, and cancel what it has working."""

    order_id: str


class ResumeOrder(Command, frozen=True, kw_only=True, tag="resume"):
    """Let a paused parent go on by its schedule; what it missed it catches up within its own bound."""

    order_id: str


class SetUrgency(Command, frozen=True, kw_only=True, tag="urgency"):
    """Change how eagerly a parent's algorithm trades."""

    order_id: str
    urgency: str
    """``passive`` (rests, never takes), ``normal``, or ``take`` (never rests)."""


class BasketLine(msgspec.Struct, frozen=True):
    """One order of a basket, and the line of the file it stands in."""

    line: int
    spec: OrderSpec


class StageBasket(Command, frozen=True, kw_only=True, tag="basket"):
    """Hold many orders as one basket: judged together, each line with those before it, and released as one act."""

    intent_id: str
    name: str
    """Of the file, or of the list."""
    lines: tuple[BasketLine, ...]
    why: str = ""


class LookAtBasket(Command, frozen=True, kw_only=True, tag="basket_look"):
    """Judge a staged basket as it would be released now. Changes nothing, is not journaled."""

    basket_id: str


class ReleaseBasket(Command, frozen=True, kw_only=True, tag="basket_release"):
    """Send a staged basket: all of it, or nothing where one line is denied."""

    basket_id: str
    confirmed: frozenset[str] = frozenset()
    """Reason codes that the person has confirmed."""


class DropBasket(Command, frozen=True, kw_only=True, tag="basket_drop"):
    """Forget a staged basket; nothing of it has left."""

    basket_id: str


class HaltScopeKind(StrEnum):
    """Over what a halt reaches; the strictest of all scopes that cover an order wins."""

    GLOBAL = "global"
    ACCOUNT = "account"
    STRATEGY = "strategy"
    SYMBOL = "symbol"


class HaltScope(msgspec.Struct, frozen=True):
    """A kind and the name in it (empty for global)."""

    kind: HaltScopeKind = HaltScopeKind.GLOBAL
    name: str = ""


class Halt(Command, frozen=True, kw_only=True, tag="halt"):
    """Shut the gate and cancel what works; flatten afterwards where asked."""

    scope: HaltScope = HaltScope()
    why: str = ""
    flatten: bool = False
    drill: bool = False


class Reduce(Command, frozen=True, kw_only=True, tag="reduce"):
    """Put a scope in REDUCING: only orders that shrink the verified position pass."""

    scope: HaltScope = HaltScope()
    why: str = ""


class Rearm(Command, frozen=True, kw_only=True, tag="rearm"):
    """Lift a halt after the hold time, with a clean reconciliation and a reason."""

    scope: HaltScope = HaltScope()
    word: str
    """Must be ``REARM``."""
    reason: str


class ResolveAs(StrEnum):
    """What a person states of an UNKNOWN order."""

    NEVER_SENT = "never-sent"
    CANCELLED = "cancelled"
    FILLED = "filled"


class Resolve(Command, frozen=True, kw_only=True, tag="resolve"):
    """A person's statement about an UNKNOWN order, journaled as that person's word."""

    order_id: str
    as_: ResolveAs = msgspec.field(name="as")
    reason: str
    price: Price | None = None
    """Average price, needed for ``filled``."""


class Reconcile(Command, frozen=True, kw_only=True, tag="reconcile"):
    """Compare with the broker now; ``accept`` books the unexplained differences with a reason."""

    accept: bool = False
    symbol: str = ""
    reason: str = ""


class ReloadPolicy(Command, frozen=True, kw_only=True, tag="reload_policy"):
    """Read policy.yaml again; a bad file keeps the old policy."""


class SetFxRates(Command, frozen=True, kw_only=True, tag="fx_rates"):
    """State currency rates; those that are known, or older than what is known, change nothing."""

    rates: tuple[FxRate, ...]


class AdjustBooks(Command, frozen=True, kw_only=True, tag="adjust"):
    """Book what a person states: cash, an opening balance, a transfer, a position with its cost."""

    adjustment: Adjustment


class SetStrategy(Command, frozen=True, kw_only=True, tag="strategy"):
    """Start or stop a strategy by name, with parameters."""

    name: str
    on: bool
    params: dict[str, str] = {}


class StopEngine(Command, frozen=True, kw_only=True, tag="stop"):
    """End the engine; cancel working orders first, or leave them at the venue."""

    cancel: bool


AnyCommand = (
    NewOrder
    | Preview
    | LookUp
    | CancelOrder
    | CancelAll
    | AmendOrder
    | ReleaseOrder
    | ApproveOrder
    | PauseOrder
    | ResumeOrder
    | SetUrgency
    | StageBasket
    | LookAtBasket
    | ReleaseBasket
    | DropBasket
    | Halt
    | Reduce
    | Rearm
    | Resolve
    | Reconcile
    | ReloadPolicy
    | SetFxRates
    | AdjustBooks
    | SetStrategy
    | StopEngine
)


class Denial(msgspec.Struct, frozen=True):
    """One reason why the gate refused: the same on screen, in JSON and in the journal."""

    code: str
    """Stable reason code, e.g. ``QTY_MAX``."""
    control: str
    """Row of the control table, e.g. ``C06``."""
    value: str
    limit: str
    policy_line: str
    """``policy.yaml:41`` of the limit, empty where the rule has no limit."""
    text: str
    """Full sentence for a person, with the nearest allowed value where there is one."""
    confirmable: bool = False


class CheckResult(msgspec.Struct, frozen=True):
    """One control's verdict in a preview."""

    control: str
    code: str
    ok: bool
    value: str
    limit: str
    share: str = ""
    """Percent of the limit that is used with this order, to a tenth; empty where the rule has no most."""
    policy_line: str = ""


class LineVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the gate says of one line of a basket, with the lines before it counted in."""

    line: int
    words: str
    notional: Money | None = None
    """In base currency; None where it cannot be known."""
    denials: tuple[Denial, ...] = ()
    order_id: str = ""
    """The order it became."""


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's answer to a command."""

    ok: bool
    code: str = ""
    """Reason code where not ok."""
    text: str = ""
    order_id: str = ""
    state: OrderState | None = None
    repeated: bool = False
    """True where the intent id was known: nothing new was done."""
    denials: tuple[Denial, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    lines: tuple[LineVerdict, ...] = ()
    """Of a basket: what became of each line."""
    preview: dict[str, str] = {}
    """Figures of a preview: notional, resulting position, quote age, cost, fee..."""
