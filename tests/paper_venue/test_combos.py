"""Combinations kept by the venue: legs of several listings, priced as one (P24)."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from brokers.paper.config import VenueConfig, VenueState
from brokers.paper.latency import NO_LATENCY, Delay
from engine.domain.clock import NS_PER_S
from engine.domain.events import Fill, decoder, encode
from engine.domain.ids import Random
from engine.domain.instrument import make_instrument
from engine.domain.money import EXACT, Money, Price, Qty
from engine.domain.order import Combo, Link, LinkRole, OrderSpec, OrderType, Side, Tif
from engine.market.carry_file import CarryFile, SplitRow
from engine.market.exact_rows import Moment
from engine.market.rows import ADD, DELETE
from engine.oms.broker_interface import Cancelled, WireOrder
from tests.paper_venue.lab import FREE, ME, START, B, Lab, S, plain_book

DEF = make_instrument("DEF", "equity", "XNAS", "USD", "0.05")
GHI = make_instrument("GHI", "equity", "XNAS", "USD", "0.01")
BUY, SELL = Side.BUY, Side.SELL
Part = tuple[Side, int, str]
PAIR: tuple[Part, ...] = ((BUY, 10, "ABC"), (SELL, 5, "DEF"))


class Pair(Lab):
    """ABC with :func:`plain_book`, and beside it DEF at 20.00 x 60 / 20.10 x 60 and GHI without a book."""

    def __init__(self, config: VenueConfig = FREE, **more: object) -> None:
        super().__init__(config, **more)  # type: ignore[arg-type] # what the base takes
        self.other = self.core.list_instrument(DEF, "XNAS")
        self.third = self.core.list_instrument(GHI, "XNAS")
        plain_book(self)
        self.on(self.other, ADD, B, 91, 2000, 60)
        self.on(self.other, ADD, S, 92, 2010, 60)

    def on(self, key: str, action: int, sign: int, order_id: int, price: int, qty: int) -> None:
        self.now += 1_000
        self.rows += 1
        self.core.on_row(key, (self.now, action, sign, order_id, price, qty, self.rows))
        self.core.advance(self.now)

    def combo(
        self, units: int, net: str | None, *parts: Part, legged: bool = False, tif: Tif = Tif.DAY, name: str = "L"
    ) -> list[str]:
        """Send a combination and let it arrive; the wire ids of its legs."""
        terms = Combo(units, None if net is None else Price(net), legged)
        specs = [
            OrderSpec(
                symbol=symbol, side=side, qty=Qty(ratio * units), type=OrderType.MARKET, tif=tif,
                link=Link(LinkRole.COMBO, "P1", terms),
            )
            for side, ratio, symbol in parts or PAIR
        ]  # fmt: skip
        return self.send_legs(specs, name)

    def send_legs(self, specs: list[OrderSpec], name: str = "L") -> list[str]:
        wires = [WireOrder(wire_id=f"{name}{at}", spec=spec) for at, spec in enumerate(specs)]
        self.core.submit_new(self.now, ME, msgspec.structs.replace(wires[0], linked=tuple(wires[1:])))
        self.core.advance(self.now)
        return [wire.wire_id for wire in wires]

    def done(self, *wires: str) -> list[str]:
        return [str(order.qty_filled) for wire in wires if (order := self.core.order(ME, wire)) is not None]

    def legs_at(self) -> int:
        return sum(listing.legs for listing in self.core.listings.values())


def test_all_legs_of_a_unit_are_done_at_once_at_the_prices_shown() -> None:
    """A unit pays 10 x 10.02 and gets 5 x 20.00: 0.20."""
    lab = Pair()
    wires = lab.combo(10, "0.20")
    assert lab.traded() == [("10.02", "100"), ("20", "50")]
    assert [lab.status(wire) for wire in wires] == ["filled", "filled"]
    assert lab.legs_at() == 0
    lab.core.check()


def test_it_waits_while_a_unit_costs_more_and_takes_only_what_every_leg_shows() -> None:
    lab = Pair()
    wires = lab.combo(10, "-0.05")
    assert lab.traded() == []
    lab.on(lab.other, ADD, B, 93, 2005, 20)  # 100.20 - 100.25 = -0.05, for 20 / 5 units
    assert lab.traded() == [("10.02", "40"), ("20.05", "20")]
    assert [lab.status(wire) for wire in wires] == ["partially_filled"] * 2
    lab.on(lab.other, DELETE, B, 91, 2000, 60)
    lab.on(lab.other, ADD, B, 94, 2010, 25)  # five units more; ABC is dearer by then for none of them
    assert lab.done(*wires) == ["90", "45"]


def test_a_unit_may_go_over_several_levels_and_its_whole_price_counts() -> None:
    """One unit of 200 ABC is 150 at 10.02 and 50 at 10.03: 2004.50, less 100 x 20.00 is 4.50."""
    over = Pair()
    over.combo(1, "4.49", (BUY, 200, "ABC"), (SELL, 60, "DEF"))
    assert over.traded() == []
    lab = Pair()
    lab.combo(1, "804.50", (BUY, 200, "ABC"), (SELL, 60, "DEF"))
    assert lab.traded() == [("10.02", "150"), ("10.03", "50"), ("20", "60")]


def test_without_a_net_price_it_takes_what_the_books_show() -> None:
    lab = Pair()
    wires = lab.combo(20, None)
    assert lab.done(*wires) == ["120", "60"]  # DEF shows 60
    assert lab.core.order(ME, wires[0]).is_open  # type: ignore[union-attr] # it arrived


@pytest.mark.parametrize(("tif", "net", "done"), [(Tif.IOC, None, "120"), (Tif.FOK, None, "0"), (Tif.IOC, "0.19", "0")])
def test_immediate_combos_never_wait(tif: Tif, net: str | None, done: str) -> None:
    lab = Pair()
    wires = lab.combo(20, net, tif=tif)
    assert lab.done(*wires)[0] == done
    assert [lab.status(wire) for wire in wires] == ["cancelled", "cancelled"]
    assert lab.legs_at() == 0


def test_a_cancel_of_one_leg_ends_all_and_a_mass_cancel_tells_each_once() -> None:
    lab = Pair()
    wires = lab.combo(10, "-9")
    lab.cancel(wires[1])
    assert [lab.status(wire) for wire in wires] == ["cancelled", "cancelled"]
    again = lab.combo(10, "-9", name="M")
    lab.core.cancel_all(ME)
    lab.core.advance(lab.now)
    told = [event.wire_id for event in lab.events if isinstance(event, Cancelled)]
    assert sorted(told) == sorted([*wires, *again])
    assert (lab.legs_at(), lab.core.open_orders(ME)) == (0, ())


def test_terms_are_not_amended() -> None:
    lab = Pair()
    wires = lab.combo(10, "-9")
    lab.amend(wires[0], 50)
    assert lab.names()[-1] == "COMBO"
    assert lab.status(wires[0]) == "new"


@pytest.mark.parametrize(
    ("parts", "change", "code"),
    [
        (((BUY, 10, "ABC"),), {}, "COMBO"),
        (((BUY, 10, "ABC"), (SELL, 5, "ABC")), {}, "COMBO"),
        (tuple((BUY, 1, name) for name in ("ABC", "DEF", "GHI", "JKL", "MNO")), {}, "COMBO"),
        (((BUY, 10, "ABC"), (SELL, 5, "NONE")), {}, "UNKNOWN_SYMBOL"),
        (PAIR, {"type": OrderType.LIMIT, "limit": Price("10.02")}, "COMBO"),
        (PAIR, {"tif": Tif.IOC}, "COMBO"),
        (PAIR, {"qty": Qty(101)}, "LOT"),
        (PAIR, {"reduce_only": True}, "COMBO"),
        (PAIR, {"link": Link(LinkRole.COMBO, "P1", Combo(5))}, "COMBO"),
    ],
)
def test_what_is_no_combination_is_refused_whole(parts: tuple[Part, ...], change: dict[str, object], code: str) -> None:
    lab = Pair()
    link = Link(LinkRole.COMBO, "P1", Combo(10))
    specs = [
        OrderSpec(symbol=symbol, side=side, qty=Qty(ratio * 10), type=OrderType.MARKET, link=link)
        for side, ratio, symbol in parts
    ]
    specs[0] = msgspec.structs.replace(specs[0], **change)
    lab.send_legs(specs)
    assert code in lab.names()
    assert set(lab.names()) <= {code, "LINKED"}
    assert lab.fills == []


def test_a_leg_alone_and_legs_without_books_are_refused() -> None:
    lab = Pair()
    lab.buy(10, link=Link(LinkRole.COMBO, "P1", Combo(1)))
    assert lab.names() == ["COMBO"]
    bars = Pair(by_bar=True)
    bars.combo(1, None)
    assert bars.names() == ["COMBO_BOOK", "COMBO_BOOK"]


def test_nothing_is_done_while_a_leg_is_halted() -> None:
    lab = Pair()
    lab.halt(True)
    wires = lab.combo(10, "0.20")
    assert lab.done(*wires) == ["0", "0"]
    lab.halt(False)
    lab.add(9, B, 1000, 5)
    assert lab.done(*wires) == ["100", "50"]


def test_own_orders_in_the_way_of_a_leg_are_not_met() -> None:
    lab = Pair()
    own = lab.sell(10, "10.01")
    wires = lab.combo(10, "0.20")
    assert lab.done(*wires, own) == ["0", "0", "0"]
    lab.cancel(own)
    lab.add(9, B, 1000, 5)
    assert lab.done(*wires) == ["100", "50"]


def slow(insert_ns: int = 1_500) -> VenueConfig:
    """Orders take a row and a half to arrive."""
    latency = msgspec.structs.replace(NO_LATENCY, insert=Delay(insert_ns, 0))
    return msgspec.structs.replace(FREE, latency=latency)


def test_legs_that_are_not_guaranteed_follow_one_another_and_pay_what_they_find() -> None:
    """The second leg leaves when the first was done: meanwhile its price is gone."""
    lab = Pair(slow())
    wires = lab.combo(10, "0.20", legged=True)
    lab.add(8, B, 1000, 1)
    lab.add(9, B, 1000, 1)
    assert lab.done(*wires) == ["100", "0"]
    lab.on(lab.other, DELETE, B, 91, 2000, 60)
    assert lab.done(*wires) == ["100", "0"], "nothing to sell to: the first leg stands bare"
    lab.on(lab.other, ADD, B, 95, 1950, 30)
    for at in range(3):
        lab.add(10 + at, B, 999, 1)
    assert lab.done(*wires) == ["100", "30"]
    lab.on(lab.other, ADD, B, 96, 1900, 30)
    for at in range(3):
        lab.add(20 + at, B, 999, 1)
    assert lab.traded() == [("10.02", "100"), ("19.5", "30"), ("19", "20")]
    assert [lab.status(wire) for wire in wires] == ["filled", "filled"]
    lab.core.check()


def test_no_new_unit_is_begun_while_a_leg_stands_bare() -> None:
    lab = Pair(slow())
    wires = lab.combo(20, "0.20", legged=True)  # DEF shows 12 units
    lab.add(8, B, 1000, 1)
    lab.add(9, B, 1000, 1)
    lab.on(lab.other, DELETE, B, 91, 2000, 60)
    lab.add(10, S, 1001, 500)
    assert lab.done(*wires) == ["120", "0"]
    lab.cancel(wires[0])
    assert [lab.status(wire) for wire in wires] == ["cancelled", "cancelled"]


def test_the_end_of_a_leg_by_a_split_ends_the_combination() -> None:
    rows = CarryFile(name="t", splits=(SplitRow(symbol="DEF", at=Moment(START + NS_PER_S), new=2, old=1),))
    lab = Pair(msgspec.structs.replace(FREE, carry=rows))
    lab.core.start_carry(START)
    wires = lab.combo(10, "-9", tif=Tif.GTC)
    lab.core.advance(START + 2 * NS_PER_S)
    assert [lab.status(wire) for wire in wires] == ["cancelled", "cancelled"]


@pytest.mark.parametrize("legged", [False, True])
def test_a_venue_that_was_restarted_goes_on_with_it(legged: bool) -> None:
    lab = Pair()
    wires = lab.combo(10, "-0.05", legged=legged)
    lab.on(lab.other, ADD, B, 93, 2005, 20)
    assert lab.done(*wires) == ["40", "20"]
    kept = encode(lab.core.state())
    fresh = Pair()
    state: VenueState = decoder(VenueState).decode(kept)
    fresh.core.load_state(state)
    fresh.core.advance(fresh.now)
    fresh.on(fresh.other, ADD, B, 93, 2010, 60)
    fresh.on(fresh.other, ADD, B, 94, 2010, 60)
    assert fresh.done(*wires) == ["100", "50"]
    fresh.core.check()
    assert fresh.core.counters.combo_units == 10, "counted over the restart"


def test_legs_of_an_open_combination_are_remembered_however_many_orders_end() -> None:
    lab = Pair(msgspec.structs.replace(slow(), history_max=2))
    wires = lab.combo(10, "0.20", legged=True)
    lab.add(8, B, 1000, 1)
    lab.add(9, B, 1000, 1)
    lab.on(lab.other, DELETE, B, 91, 2000, 60)
    assert lab.status(wires[0]) == "filled"
    for at in range(5):
        wire_id = lab.buy(1, "9.00", wire_id=f"X{at}")
        lab.now += 10_000
        lab.core.advance(lab.now)
        lab.cancel(wire_id)
    assert lab.status("X0") == "none", "what ended is forgotten"
    assert lab.status(wires[0]) == "filled", "its filled leg says what the other one owes"


def _net(fills: list[Fill]) -> Decimal:
    total = Decimal(0)
    for fill in fills:
        total = EXACT.add(total, EXACT.multiply(EXACT.multiply(fill.price, fill.qty), Decimal(fill.side.sign)))
    return total


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_books_do_legs_stay_even_and_no_unit_costs_more(seed: int) -> None:
    random = Random(seed)
    lab = Pair(msgspec.structs.replace(FREE, cash={"USD": Money(1_000_000)}))
    lab.on(lab.third, ADD, B, 71, 3000, 50)
    lab.on(lab.third, ADD, S, 72, 3010, 50)
    parts = ((BUY, 1 + random.below(7), "ABC"), (SELL, 1 + random.below(7), "DEF"), (BUY, 1 + random.below(3), "GHI"))
    middle = sum(
        Decimal(ratio * side.sign * price) for (side, ratio, _), price in zip(parts, (10, 20, 30), strict=True)
    )
    net = middle + Decimal(random.below(200) - 100) / 100
    wires = lab.combo(30, str(net), *parts)
    keys = {lab.key: (1000, 1), lab.other: (2000, 5), lab.third: (3000, 1)}
    seen = 0
    for step in range(60):
        key = [*keys][random.below(3)]
        middle_at, tick = keys[key]
        sign = B if random.below(2) else S
        price = middle_at - sign * tick * (random.below(6) - 2)
        lab.on(key, ADD, sign, 1_000 + step, price, 1 + random.below(40))
        filled = [int(qty) for qty in lab.done(*wires)]
        units = {done // ratio for done, (_, ratio, _) in zip(filled, parts, strict=True)}
        assert len(units) == 1
        assert all(done % ratio == 0 for done, (_, ratio, _) in zip(filled, parts, strict=True))
        new = lab.fills[seen:]
        seen += len(new)
        begun = sum(int(fill.qty) for fill in new if fill.symbol == "ABC") // parts[0][1]
        assert _net(new) <= net * begun
    lab.core.check()
    lab.cancel(wires[0])
    assert lab.legs_at() == 0


@pytest.mark.parametrize("tif", [Tif.FOK, Tif.DAY])
def test_a_combination_that_is_over_is_not_kept_open_by_a_restart(tif: Tif) -> None:
    lab = Pair()
    wires = lab.combo(10, "-5", tif=tif)
    lab.core.submit_cancel(lab.now, ME, wires[0])
    lab.core.advance(lab.now)
    assert {lab.status(wire) for wire in wires} == {"cancelled"}
    assert lab.core.groups.members == {}
    again = Pair()
    again.core.load_state(decoder(VenueState).decode(encode(lab.core.state())))
    again.core.advance(again.core.now_ns)
    assert again.core.groups.members == {}
    assert again.legs_at() == 0
