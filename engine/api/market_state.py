"""The latest market by symbol and venue, kept as the ticks came; prices are made only when somebody asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.domain.instrument import Instrument
from engine.market.bars import Bars
from engine.market.feed import BookTick, MarketTick, QuoteTick, TradeTick
from engine.risk.exposure import OPEN, Quote

if TYPE_CHECKING:  # numpy only where columns are used
    from engine.market.columns import PassedTicks


class MarketState:
    """Last quote, trade, book and status of each listing."""

    def __init__(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self._quotes: dict[str, dict[str, QuoteTick]] = {}
        """Symbol, then venue in the order in which they first quoted."""
        self.books: dict[tuple[str, str], BookTick] = {}
        self.trades: dict[str, TradeTick] = {}
        self.first_trade: dict[str, int] = {}
        """First print of each symbol: what a change in percent is counted from."""
        self.status: dict[tuple[str, str], str] = {}
        self.changed: dict[str, int] = {}
        """Symbol -> number of the tick that touched it last."""
        self.bars = Bars()
        self.ticks = 0
        self.alive_ns = 0
        """When a feed that is known to be whole last spoke: an unchanged quote is as young as that."""
        self._made: dict[str, tuple[QuoteTick, TradeTick | None, str, Quote]] = {}

    def forget(self) -> None:
        """Drop every price, not what can be traded: another instant of the past is looked at."""
        for known in (self._quotes, self.books, self.trades, self.first_trade, self.status, self.changed, self._made):
            known.clear()
        self.bars.forget()
        self.alive_ns = 0

    def on_tick(self, tick: MarketTick) -> None:
        """Take in one tick."""
        symbol = tick.symbol
        self.ticks = self.changed[symbol] = number = self.ticks + 1
        if type(tick) is QuoteTick:
            try:
                self._quotes[symbol][tick.venue] = tick
            except KeyError:
                self._quotes[symbol] = {tick.venue: tick}
        elif type(tick) is TradeTick:
            if symbol not in self.trades:
                self.first_trade[symbol] = tick.price
            self.trades[symbol] = tick
            self.bars.on_trade(tick, number)
        elif type(tick) is BookTick:
            self.books[symbol, tick.venue] = tick
        else:
            self.status[symbol, tick.venue] = tick.status

    def pass_over(self, passed: PassedTicks) -> None:
        """Take in ticks that nobody looked at; the state is the same as after each of them."""
        symbol, before = passed.symbol, self.ticks
        self.ticks = self.changed[symbol] = before + passed.count
        if passed.quote is not None:
            self._quotes.setdefault(symbol, {})[passed.quote.venue] = passed.quote
        if passed.trade is not None:
            if symbol not in self.trades:
                self.first_trade[symbol] = passed.prints[0].first
            self.trades[symbol] = passed.trade
            for prints in passed.prints:
                self.bars.on_prints(symbol, prints, before)

    def venue_of(self, symbol: str) -> str:
        """The venue an order without one would meet: the listing venue, else the first that quoted."""
        made = self.instruments.get(symbol)
        quotes = self._quotes.get(symbol, {})
        if made is not None and made.mic in quotes:
            return made.mic
        return next(iter(quotes), "")

    def heard(self) -> dict[str, tuple[int, int]]:
        """Of each venue how many symbols it quotes or prints, and the time of its last word; a feed that is known to be whole counts."""
        found: dict[str, dict[str, int]] = {}
        for symbol, quotes in self._quotes.items():
            for venue, tick in quotes.items():
                found.setdefault(venue, {})[symbol] = max(tick.ts_ns, self.alive_ns)
        for symbol, trade in self.trades.items():
            times = found.setdefault(trade.venue, {})
            times[symbol] = max(times.get(symbol, 0), trade.ts_ns)
        for (symbol, venue), book in self.books.items():
            times = found.setdefault(venue, {})
            times[symbol] = max(times.get(symbol, 0), book.ts_ns)
        return {venue: (len(times), max(times.values())) for venue, times in found.items()}

    def price_digits(self, symbol: str) -> int:
        """Decimals of the symbol's tick; 0 where it is not known."""
        made = self.instruments.get(symbol)
        return 0 if made is None else made.tick_digits

    def displayed(self, symbol: str, venue: str) -> tuple[MarketTick, ...]:
        """The last quote and book of a listing, as far as there are any."""
        found = (self._quotes.get(symbol, {}).get(venue), self.books.get((symbol, venue)))
        return tuple(tick for tick in found if tick is not None)

    def quote(self, symbol: str) -> Quote | None:
        """Latest best prices where an order would meet them; None where nothing was ever seen."""
        quotes, made = self._quotes.get(symbol), self.instruments.get(symbol)
        if quotes is None or made is None:
            return None
        tick = quotes.get(made.mic) or next(iter(quotes.values()))  # as venue_of() says
        trade, venue, status = self.trades.get(symbol), tick.venue, OPEN
        if self.status:
            status = self.status.get((symbol, venue)) or self.status.get(("", venue)) or OPEN
        held = self._made.get(symbol)
        if held is not None and held[0] is tick and held[1] is trade and held[2] == status:
            quote = held[3]
            return quote if self.alive_ns <= quote.ts_ns else self._fresh(quote)
        quote = Quote(
            bid=made.price_of(tick.bid) if tick.bid_qty else None,
            ask=made.price_of(tick.ask) if tick.ask_qty else None,
            bid_qty=made.qty_of(tick.bid_qty) if tick.bid_qty else None,
            ask_qty=made.qty_of(tick.ask_qty) if tick.ask_qty else None,
            last=None if trade is None else made.price_of(trade.price),
            ts_ns=tick.ts_ns,
            venue=venue,
            tape_row=tick.row,
            status=status,
        )
        self._made[symbol] = (tick, trade, status, quote)
        return self._fresh(quote)

    def _fresh(self, quote: Quote) -> Quote:
        return msgspec.structs.replace(quote, ts_ns=self.alive_ns) if self.alive_ns > quote.ts_ns else quote
