"""What the simulated market lists: made-up venues, well-known names, prices that are examples."""

from __future__ import annotations

import msgspec

from engine.domain.instrument import Instrument, make_instrument

EQUITY = 0
CRYPTO = 1
"""Factors: instruments of one group move together."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument, where it trades, and how its flow looks. Prices and sizes are hot-path integers."""

    instrument: Instrument
    mics: tuple[str, ...]
    start: int
    """Price at the first epoch, and where prices are pulled back to."""
    tick: int
    lot: int
    gap: int
    """Usual distance between levels; a multiple of the tick."""
    edge: int
    """Usual distance of the best quotes from the latent value ..."""
    edge_pct: int
    """... kept by this share of the orders."""
    size: int
    """Usual order size."""
    odd_pct: int
    """Share of odd sizes."""
    rate_mhz: int
    """Events per thousand seconds and venue, before curve and bursts."""
    factor: int
    beta_pct: int
    """How far the factor moves it."""
    vol: int
    """Standard deviation of its own quarter-second step, in 1e-9."""


def _listing(
    instrument: Instrument, mics: tuple[str, ...], start: str, size: str, gap_ticks: int, edge_ticks: int, **rest: int
) -> Listing:
    from engine.domain.money import Price, Qty

    tick = instrument.price_units(instrument.ticks[0].tick)
    return Listing(
        instrument=instrument,
        mics=mics,
        start=instrument.price_units(Price(start)),
        tick=tick,
        lot=instrument.qty_units(instrument.lot),
        gap=gap_ticks * tick,
        edge=edge_ticks * tick,
        size=instrument.qty_units(Qty(size)),
        **rest,
    )


EQUITY_MICS = ("SIMA", "SIMB")
FUTURES_MIC = "SIMF"
CRYPTO_MIC = "SIMC"
_EQUITY = {"edge_pct": 80, "odd_pct": 15, "factor": EQUITY}
_SINGLE = {"edge_pct": 80, "odd_pct": 30, "factor": CRYPTO}

LISTINGS: tuple[Listing, ...] = (
    _listing(
        make_instrument("AAPL", "equity", "SIMA", "USD", "0.01", sector="technology"),
        EQUITY_MICS, "189.40", "100", 1, 1, rate_mhz=5_000, beta_pct=110, vol=9_000, **_EQUITY,
    ),
    _listing(
        make_instrument("MSFT", "equity", "SIMA", "USD", "0.01", sector="technology"),
        EQUITY_MICS, "421.10", "100", 2, 2, rate_mhz=4_000, beta_pct=100, vol=8_000, **_EQUITY,
    ),
    _listing(
        make_instrument("SPY", "etf", "SIMA", "USD", "0.01", sector="index"),
        EQUITY_MICS, "588.20", "200", 1, 0, rate_mhz=6_000, beta_pct=100, vol=1_000, **_EQUITY,
    ),
    _listing(
        make_instrument("ES", "future", FUTURES_MIC, "USD", "0.25", multiplier="50", sector="index"),
        (FUTURES_MIC,), "5896.00", "4", 1, 0,
        rate_mhz=8_000, edge_pct=80, odd_pct=30, factor=EQUITY, beta_pct=100, vol=1_000,
    ),
    _listing(
        make_instrument("BTC-USD", "crypto_spot", CRYPTO_MIC, "USD", "0.01", "0.0001", notional_min="5", sector="crypto"),
        (CRYPTO_MIC,), "67250.00", "0.1", 300, 150, rate_mhz=7_000, beta_pct=180, vol=3_000, **_SINGLE,
    ),
    _listing(
        make_instrument("BTC-PERP", "perpetual", CRYPTO_MIC, "USD", "0.1", "0.001", notional_min="5", sector="crypto"),
        (CRYPTO_MIC,), "67260.0", "0.2", 30, 15, rate_mhz=7_000, beta_pct=180, vol=3_000, **_SINGLE,
    ),
)  # fmt: skip
"""Six instruments at four venues. Everything is USD and trades around the clock."""
