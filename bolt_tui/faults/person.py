"""A person at the desk: asks, asks again, re-arms, and says when everything is over.

What an engine did not answer is asked again with the same intent id. A wish gets a new id only where the engine says for certain
that nothing of the old one ever left: that word is what the laboratory puts to the test.
"""

from __future__ import annotations

import msgspec

from bolt_tui.faults import pipe
from bolt_tui.faults.line import Line
from bolt_tui.faults.schedule import BEGINS_NS, Act
from bolt_tui.faults.world import World
from engine.domain.clock import NS_PER_MS, NS_PER_S

POLL_NS = NS_PER_S
TRIES_MAX = 60
LATE_TRIES_MAX = 3
"""How often a cancel or an amend that was refused is tried again."""
AGAIN_NS = 900 * NS_PER_MS
FOLLOW_NS = 1_300 * NS_PER_MS
RESOLVED_NS_MAX = 30 * NS_PER_S
"""Within this time after the last fault every order is what the venue says it is: two rounds of comparison, and the wait for the
proof that an order never arrived.
"""
LAST = Act(name="end", at_ms=0, do="cancel_all")


class Wish(msgspec.Struct):
    """An order a person wants."""

    act: Act
    attempt: int = 0
    tries: int = 0
    is_settled: bool = False

    @property
    def intent_id(self) -> str:
        """Of the attempt."""
        return f"{self.act.name}.{self.attempt}"


class Person:
    """Does the acts of a schedule on whichever engine is alive."""

    def __init__(self, world: World, line: Line) -> None:
        self._world = world
        self._line = line
        self._open = len(world.schedule.acts)
        self._wishes: dict[str, Wish] = {}
        self._is_ending = False
        for act in world.schedule.acts:
            world.at(BEGINS_NS + act.at_ms * NS_PER_MS, lambda act=act: self._begin(act))  # type: ignore[misc]
        world.at(BEGINS_NS + 2 * POLL_NS, self._poll)

    def unsettled(self) -> list[str]:
        """Wishes that came to nothing."""
        return [name for name, wish in self._wishes.items() if not wish.is_settled]

    def _ask(self, act: Act, attempt: int) -> pipe.Done | None:
        mid = self._line.venue.mids.get(act.symbol, 0)
        return self._world.tell(lambda now_ns: pipe.Do(at_ns=now_ns, act=act, attempt=attempt, mid_cents=mid))

    def _begin(self, act: Act) -> None:
        if act.do == "order":
            self._wishes[act.name] = Wish(act)
            self._wish(self._wishes[act.name])
        else:
            self._do(act, 0)

    def _do(self, act: Act, tries: int) -> None:
        done = self._ask(act, tries)
        is_late = done is not None and not done.ok and act.do in {"amend", "cancel"}
        if (done is None and tries < TRIES_MAX) or (is_late and tries < LATE_TRIES_MAX):
            self._world.after(AGAIN_NS, lambda: self._do(act, tries + 1))
        else:
            self._over()

    def _over(self) -> None:
        self._open -= 1
        if not self._open:
            self._world.wait_anew()

    # -- wishes ------------------------------------------------------------------------------------------------------------

    def _wish(self, wish: Wish) -> None:
        wish.tries += 1
        if wish.tries > TRIES_MAX:
            self._over()
        elif self._ask(wish.act, wish.attempt) is None:
            self._world.after(AGAIN_NS, lambda: self._wish(wish))
        else:
            self._world.after(FOLLOW_NS, lambda: self._follow(wish))

    def _follow(self, wish: Wish) -> None:
        """Ask what became of a wish, and do what follows."""
        done = self._world.tell(lambda now_ns: pipe.Ask(at_ns=now_ns, intent_id=wish.intent_id))
        answer = "" if done is None else done.answer
        wish.tries += 1
        if wish.tries > TRIES_MAX:
            self._over()
        elif answer in {"taken", "refused"}:
            wish.is_settled = True
            self._line.is_armed = self._line.is_armed or wish.act is self._world.schedule.acts[0]
            self._over()
        elif answer in {"never", "none"}:
            wish.attempt += answer == "never"
            self._wish(wish)
        else:
            if answer == "staged":
                self._world.tell(lambda now_ns: pipe.Release(at_ns=now_ns, intent_id=wish.intent_id))
            self._world.after(FOLLOW_NS, lambda: self._follow(wish))

    # -- the end -------------------------------------------------------------------------------------------------------------

    def _poll(self) -> None:
        """Each second: re-arm what is halted, and see whether everything is over."""
        done = self._world.tell(lambda now_ns: pipe.Look(at_ns=now_ns))
        if done is not None:
            if done.held:
                self._world.tell(lambda now_ns: pipe.Rearm(at_ns=now_ns))
            if not self._open and not self._is_working(done):
                self._judge(done)
        self._world.after(POLL_NS, self._poll)

    def _is_working(self, done: pipe.Done) -> bool:
        """Whether something still goes on along its schedule: what it does may meet faults too."""
        if self._is_ending or not done.schedules_open:
            return False
        self._world.wait_anew()
        return True

    def _judge(self, done: pipe.Done) -> None:
        world, out = self._world, self._world.out
        self._line.calm()
        waited_ns = world.now_ns - world.quiet_since_ns
        if waited_ns < 0:
            return
        out.unresolved = self._differs(done)
        if out.unresolved:
            world.is_over = waited_ns > RESOLVED_NS_MAX
            return
        if not self._is_ending:
            self._is_ending = True
            out.resolved_ns = waited_ns
            world.wait_anew()
        elif not done.working and not done.parents_open:
            world.is_over = True
            return
        self._ask(LAST, 0)

    def _differs(self, done: pipe.Done) -> list[str]:
        """What the engine and the venue do not agree on, in words."""
        venue = self._line.venue
        found = [] if self._line.is_up and done.channel == "up" else ["the line is not up"]
        there = {order.wire_id: order for order in venue.open_orders()}
        here = {order.wire_id: order for order in done.working}
        found += [f"{wire_id} works at the venue only" for wire_id in there if wire_id not in here]
        for wire_id, order in here.items():
            seen = there.get(wire_id)
            told = f"{wire_id} is {order.state} with {order.qty_filled} of {order.qty} here"
            if seen is None:
                found.append(f"{told} and has ended there")
            elif not order.is_sure or (order.qty, order.qty_filled) != (seen.qty, seen.qty_filled):
                found.append(f"{told}, {seen.qty_filled} of {seen.qty} there")
        held = {one.symbol: one.qty for one in venue.positions()}
        if held != done.positions:
            found.append(f"positions are {_words(done.positions)} here, {_words(held)} there")
        if done.cash and done.cash != str(venue.cash()):
            found.append(f"cash is {done.cash} here, {venue.cash()} there")
        return found + list(done.differences)


def _words(positions: object) -> str:
    return ", ".join(f"{symbol} {qty}" for symbol, qty in dict(positions).items()) or "flat"  # type: ignore[call-overload]
