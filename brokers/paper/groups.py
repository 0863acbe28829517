"""Orders that belong together at the venue: what one of them does reaches the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from brokers.paper.combos import is_leg
from brokers.paper.links import Share, link_role, share_of
from brokers.paper.orders import Working
from engine.domain.order import LinkRole

if TYPE_CHECKING:
    from brokers.paper.lifecycle import Lifecycle


class Groups:
    """The members of each group, by account and the group's name, until none of them is open."""

    def __init__(self, host: Lifecycle) -> None:
        self._host = host
        self.members: dict[tuple[str, str], list[Working]] = {}

    def add(self, order: Working) -> None:
        """A member came."""
        self.members.setdefault((order.account, order.group), []).append(order)

    def of(self, order: Working) -> list[Working]:
        """All of its group, ended ones too; empty once none of it is open."""
        return self.members.get((order.account, order.group), [])

    def is_open(self, order: Working) -> bool:
        """Whether it belongs to a group that is not over."""
        return bool(order.group) and (order.account, order.group) in self.members

    def forget(self, key: tuple[str, str]) -> None:
        """Nothing of a group is open any more."""
        self.members.pop(key, None)

    def settle_later(self, order: Working) -> None:
        """Let what happened to an order reach its group: the venue takes its time, and meanwhile both legs may fill."""
        host = self._host
        if is_leg(order):
            host.combos.changed(order)
        else:
            due_ns = host.now_ns + host.latency.draw(host.config.latency.cancel, host.now_ns)
            host.at(due_ns, self.settle, order.account, order.group)

    def settle(self, account: str, group: str) -> None:
        """Bring every open order of a group to what it may do now. Asked twice it does nothing the second time."""
        members = self.members.get((account, group), [])
        if members and is_leg(members[0]):
            self._host.combos.begin((account, group), members)
            return
        entry = next((one for one in members if link_role(one) is LinkRole.ENTRY), None)
        for order in members:
            if order.is_open and order is not entry:
                others = sum(other.done for other in members if other not in (order, entry))
                self._settle_member(order, share_of(order, entry, others))
        if not any(one.is_open for one in members):
            self.members.pop((account, group), None)

    def end_entry(self, leg: Working) -> None:
        """A stop leg was passed: what its entry has not bought by now is not bought any more, nor in the stop's way."""
        if link_role(leg) is LinkRole.LEG:
            for order in self.of(leg)[:]:
                if order.is_open and link_role(order) is LinkRole.ENTRY:
                    self._host.end_order(order, "a stop of its group was passed")

    def _settle_member(self, order: Working, share: Share) -> None:
        host = self._host
        listing = host.listings[order.key]
        if share.qty <= order.filled:
            host.end_order(order, share.why)
            return
        is_less, was_idle = share.qty < order.qty, not order.is_resting and not order.is_waiting
        order.qty, order.held = share.qty, share.held
        order.shown = min(order.shown, order.leaves)
        host.changed_silently()
        if is_less:
            order.spec = replace(order.spec, qty=listing.instrument.qty_of(order.qty))
            host.tell_amended(order)
        if order.leaves and was_idle:
            refusal = host.standing_refusal(listing, order)
            if refusal is None:
                host.start(listing, order)
            else:
                host.end_order(order, f"{refusal.code}: {refusal.text}")
