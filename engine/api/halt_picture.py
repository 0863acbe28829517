"""What a desk is shown of halts: the states in force, and the growing receipt of the last kill procedure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.domain import events as ev
from engine.domain.clock import NS_PER_S
from engine.domain.commands import Halt, HaltScopeKind
from engine.views import HaltView

if TYPE_CHECKING:
    from engine.api.engine import Engine

CUT_SHORT = "the engine ended while its kill procedure ran: what it had not yet cancelled is cancelled as soon as it is found; `bolt kill` verifies it"
ACTIVE = ev.TradingState.ACTIVE.value
SAME_HALT_NS = 2 * NS_PER_S
"""What is asked, or begins, so soon behind another of its kind is told with it as one halt."""
COUNTS = ("found", "cancels_sent", "cancels_confirmed", "unknown", "kept")


class Procedure(msgspec.Struct):
    """What is known of one kill procedure."""

    is_wide: bool
    """It halts everything."""
    began_ns: int
    before: int = 0
    """Orders that procedures of the same group had ended, and were done, as it began."""
    flattens: bool = False
    counts: dict[str, int] = {}
    residual: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    verified: bool = True
    receipt_path: str = ""
    note: str = ""
    done: bool = False

    def take(self, step: str, data: dict[str, str]) -> None:
        """Take in a step that is done; each names what it knows."""
        self.counts |= {name: int(data[name]) for name in COUNTS if data.get(name, "").isdigit()}
        if "residual" in data:
            self.residual = tuple(word for word in data["residual"].split(";") if word)
        if "unreachable" in data:
            self.unreachable = tuple(word for word in data["unreachable"].split(";") if word)
        if "verified" in data or step == "failed":
            self.verified = data.get("verified") == "true"
        self.receipt_path = data.get("receipt_path", self.receipt_path)
        self.note = data.get("note", self.note)
        self.done = step in {"receipt_file", "failed"}


class HaltPicture:
    """Follows the journal, and the procedures that begin in this process.

    Of procedures that overlap or begin within SAME_HALT_NS, counts and receipt are those of the last one of everything, or of the
    last, that found an order or flattens; where none did, of the last. The halt is at its end when all of them are, and clean where
    all of them were: no receipt passes for another's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._base = HaltView(state=ACTIVE)
        """State, person and reason; the rest is summed up."""
        self._gone = 0
        """Orders that procedures of this halt had ended before those of the group began."""
        self._group: dict[str, Procedure] = {}
        """The procedures that overlap, in the order of their beginning; each at its end where none runs."""

    def started(self) -> None:
        """An engine began: what the one before had at work ended with it, and nobody must wait for its receipt."""
        for one in self._group.values():
            if not one.done:
                one.done, one.verified, one.note = True, False, CUT_SHORT

    def changed(self, _seq: int, ts_ns: int, event: ev.TradingStateChanged) -> None:
        """A scope was tightened or lifted. A procedure at work goes on, and is waited for."""
        if event.state is ev.TradingState.ACTIVE:
            self._let_go(None)
            self._base, self._gone = HaltView(state=ACTIVE), 0
        else:
            self._let_go(ts_ns)
            self._base = HaltView(state=event.state.value, who=event.who, why=event.why, code=event.code, ts_ns=ts_ns)

    def began(self, halt_id: str, command: Halt) -> None:
        """A kill procedure runs in this process: its receipt is awaited. Of another process's nothing is heard here."""
        now_ns = self._engine.clock.now_ns()
        self._let_go(now_ns)
        self._group[halt_id] = Procedure(
            command.scope.kind is HaltScopeKind.GLOBAL, now_ns, self._ended(), command.flatten
        )

    def step(self, _seq: int, ts_ns: int, event: ev.HaltStep) -> None:
        """A step of a procedure is done."""
        if event.halt_id not in self._group:
            self._let_go(ts_ns)
            # Begun beside the loop, by a signal or the lookout: these halt everything.
            self._group[event.halt_id] = Procedure(True, ts_ns, self._ended())
        self._group[event.halt_id].take(event.step, event.data)

    @property
    def is_at_work(self) -> bool:
        """Whether the receipt of a procedure is awaited."""
        return not self._is_over()

    def _is_over(self) -> bool:
        return all(one.done for one in self._group.values())

    def _let_go(self, ts_ns: int | None) -> None:
        """Procedures that are at their end are no longer told, but for how many orders they had ended.

        What comes at ``ts_ns`` so soon behind them is of their halt, and leaves them; None lets go of them in any case.
        """
        first = next(iter(self._group.values()), None)
        is_same = ts_ns is not None and first is not None and ts_ns - first.began_ns <= SAME_HALT_NS
        if self._is_over() and not is_same:
            if self._base.state != ACTIVE:
                self._gone += self._ended()
            self._group.clear()

    def _ended(self) -> int:
        """Orders that the group's procedures which are done had ended; what two of them saw end is counted once."""
        return max(
            (one.before + one.counts.get("cancels_confirmed", 0) for one in self._group.values() if one.done), default=0
        )

    def _sum_up(self) -> HaltView:
        found = list(self._group.values())
        if not found:
            return msgspec.structs.replace(self._base, gone_before=self._gone)
        # One press of the key may run two: the latch is seen, and then the key's own word. What the first ended the second never finds.
        wide = [one for one in found if one.is_wide] or found[-1:]
        last = next((one for one in reversed(wide) if one.counts.get("found") or one.flattens), wide[-1])
        beside = max((one.counts.get("cancels_confirmed", 0) for one in found if one is not last), default=0)
        return msgspec.structs.replace(
            self._base,
            **last.counts,
            gone_before=self._gone + max(last.before, beside - last.counts.get("found", 0), 0),
            residual=tuple(dict.fromkeys(word for one in found for word in one.residual)),
            unreachable=tuple(dict.fromkeys(word for one in found for word in one.unreachable)),
            verified=all(one.verified for one in found),
            receipt_path=last.receipt_path,
            note=last.note or next((one.note for one in found if one.note), ""),
            done=self._is_over(),
        )

    def view(self) -> HaltView:
        """As it is now."""
        engine = self._engine
        policy = engine.parts.policy.policy
        held = engine.kill.held()
        global_state = engine.parts.latch.read()
        hold_s = 0 if policy is None else policy.whole("kill.rearm_hold_s")
        shown = self._sum_up()
        return msgspec.structs.replace(
            shown,
            state=shown.state if global_state is ev.TradingState.ACTIVE and held else global_state.value,
            scopes=tuple((f"{item.scope.kind.value}:{item.scope.name}", item.state.value) for item in held),
            durable=not engine.journal.failed and all(item.seq <= engine.journal.durable_seq for item in held),
            rearm_after_ns=max((engine.kill.rearm_after_ns(item.scope, hold_s) for item in held), default=0),
            blocks=tuple(block.why for block in engine.safety.blocks(engine.clock.now_ns())),
        )
