"""What a desk is shown of halts: the states in force, and the growing receipt of the last kill procedure."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from engine.domain import events as ev
from engine.views import HaltView

if TYPE_CHECKING:
    from engine.api.engine import Engine

CUT_SHORT = "the engine ended while its kill procedure ran: what it had not yet cancelled is cancelled as soon as it is found; `bolt kill` verifies it"
ACTIVE = ev.TradingState.ACTIVE.value
OVERTAKEN_MAX = 64
"""Kill procedures that a later one overtook and that are still told apart."""


class HaltPicture:
    """Follows the journal, and the procedures that begin in this process."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shown = HaltView(state="active")
        self._procedure = ""
        """Whose receipt is awaited."""
        self._overtaken: deque[str] = deque(maxlen=OVERTAKEN_MAX)

    def started(self) -> None:
        """An engine began: what the one before had at work ended with it."""
        if self._procedure:
            # Told for what it is: a picture that went on saying "working" would be waited for, for ever.
            self._procedure = ""
            self._shown = msgspec.structs.replace(self._shown, done=True, verified=False, note=CUT_SHORT)

    def changed(self, _seq: int, ts_ns: int, event: ev.TradingStateChanged) -> None:
        """A scope was tightened or lifted. A procedure at work goes on, and is waited for."""
        done = not self._procedure
        if event.state is ev.TradingState.ACTIVE:
            self._shown = HaltView(state="active", done=done)
            return
        self._shown = HaltView(
            state=event.state.value,
            who=event.who,
            why=event.why,
            code=event.code,
            ts_ns=ts_ns,
            done=done,
            gone_before=self._gone(),
        )

    def began(self, halt_id: str) -> None:
        """A kill procedure runs in this process: its receipt is awaited, and no more that of one before it, which goes on by itself.

        Of another process's nothing is heard here.
        """
        if self._procedure:
            self._overtaken.append(self._procedure)
        self._shown = self._anew()
        self._procedure = halt_id

    def _gone(self) -> int:
        """Orders that procedures of this halt are known to have ended; of one that is overtaken at work its follower tells."""
        before = self._shown
        is_over = before.state != ACTIVE and not self._procedure
        return before.gone_before + (before.cancels_confirmed if is_over else 0)

    def _anew(self) -> HaltView:
        """The same halt with a receipt that is empty: what the next procedure has not said is not what the one before it said."""
        before = self._shown
        return HaltView(
            state=before.state, who=before.who, why=before.why, code=before.code, ts_ns=before.ts_ns,
            gone_before=self._gone(), done=False,
        )  # fmt: skip

    def _is_shown(self, halt_id: str) -> bool:
        """Whether a step is of the procedure that the picture tells: one receipt must not pass for another's."""
        return halt_id == self._procedure or not (self._procedure or halt_id in self._overtaken)

    def step(self, _seq: int, _ts_ns: int, event: ev.HaltStep) -> None:
        """A step of a procedure is done."""
        if not self._is_shown(event.halt_id):
            return
        if not self._procedure:
            self._shown = self._anew()
        data = event.data
        changes: dict[str, object] = {}
        for name in ("found", "cancels_sent", "cancels_confirmed", "unknown", "kept"):
            if data.get(name, "").isdigit():
                changes[name] = int(data[name])
        if "residual" in data:
            changes["residual"] = tuple(word for word in data["residual"].split(";") if word)
        if "unreachable" in data:
            changes["unreachable"] = tuple(word for word in data["unreachable"].split(";") if word)
        if "verified" in data or event.step == "failed":
            changes["verified"] = data.get("verified") == "true"
        for name in ("receipt_path", "note"):
            if name in data:
                changes[name] = data[name]
        is_done = changes["done"] = event.step in {"receipt_file", "failed"}
        self._procedure = "" if is_done else event.halt_id
        self._shown = msgspec.structs.replace(self._shown, **changes)

    def view(self) -> HaltView:
        """As it is now."""
        engine = self._engine
        policy = engine.parts.policy.policy
        held = engine.kill.held()
        global_state = engine.parts.latch.read()
        hold_s = 0 if policy is None else policy.whole("kill.rearm_hold_s")
        return msgspec.structs.replace(
            self._shown,
            state=self._shown.state if global_state is ev.TradingState.ACTIVE and held else global_state.value,
            scopes=tuple((f"{item.scope.kind.value}:{item.scope.name}", item.state.value) for item in held),
            durable=not engine.journal.failed and all(item.seq <= engine.journal.durable_seq for item in held),
            rearm_after_ns=max((engine.kill.rearm_after_ns(item.scope, hold_s) for item in held), default=0),
            blocks=tuple(block.why for block in engine.safety.blocks(engine.clock.now_ns())),
        )
