"""The table of controls. A row is one reason code: what it measures, against which limit, for which orders.

The gate walks the rows in this order: what ends all judging first, then the state of the desk, the order by itself, its price,
its size, the account, and the rates. `docs/controls.md` is written from this table, and the tests make their cases from it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from engine.risk import controls_rules as rules
from engine.risk import controls_sizes as sizes
from engine.risk.controls_case import SPARE_EXIT, SPARE_NOTHING, SPARE_REDUCING, Case
from engine.risk.policy import Limit

Measured = Decimal | int | None
Broken = tuple[str, str, str]
"""Value, limit and sentence of a rule that does not hold."""

REDUCING, EXIT, NOTHING = SPARE_REDUCING, SPARE_EXIT, SPARE_NOTHING


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One reason code of one control."""

    control: str
    code: str
    place: str
    """E entry, G gate, B parent, M monitor."""
    input: str
    """What is measured, in words."""
    doc: str
    """The rule, as one sentence."""
    path: str = ""
    """Where the limit stands in policy.yaml; ``{source}`` is the kind of the source."""
    measure: Callable[[Case], Measured] | None = None
    """The measured number; None = not known, which denies with ``unknown``."""
    unknown: str = ""
    bound: Callable[[Case], Limit | None] | None = None
    """A limit that is no number of the policy."""
    rule: Callable[[Case], Broken | None] | None = None
    """For a rule without a number: None where it holds."""
    words: Callable[[Case], str] | None = None
    """Why the input is not known, for people."""
    is_floor: bool = False
    """The limit is the least allowed, not the most."""
    is_time: bool = False
    """Measured in nanoseconds."""
    is_confirmable: bool = False
    """A person may confirm it; a machine is denied."""
    is_final: bool = False
    """Nothing after it can be judged where it denies."""
    spares: int = NOTHING


def _most(  # one row is one line of the table
    control: str,
    code: str,
    path: str,
    measured: str,
    measure: Callable[[Case], Measured],
    unknown: str,
    doc: str,
    *,
    spares: int = NOTHING,
    place: str = "G",
    is_time: bool = False,
    is_floor: bool = False,
    is_confirmable: bool = False,
    bound: Callable[[Case], Limit | None] | None = None,
    words: Callable[[Case], str] | None = None,
) -> Row:
    return Row(
        control=control,
        code=code,
        place=place,
        input=measured,
        doc=doc,
        path=path,
        measure=measure,
        unknown=unknown,
        bound=bound,
        words=words,
        is_floor=is_floor,
        is_time=is_time,
        is_confirmable=is_confirmable,
        spares=spares,
    )


def _rule(
    control: str,
    code: str,
    measured: str,
    rule: Callable[[Case], Broken | None],
    doc: str,
    *,
    path: str = "",
    place: str = "G",
    is_final: bool = False,
    spares: int = NOTHING,
) -> Row:
    return Row(
        control=control,
        code=code,
        place=place,
        input=measured,
        doc=doc,
        path=path,
        rule=rule,
        is_final=is_final,
        spares=spares,
    )


_STATE = (
    _rule("C36", "POLICY_NONE", "policy", rules.policy_none, "Without a complete, checked policy nothing leaves; its hash "
          "is stamped on each decision.", is_final=True),
    _rule("C02", "NUMBER_BAD", "numbers of the order", rules.number_bad, "Quantity above zero; prices finite, present where "
          "the type needs them, absent where not, and above zero unless the instrument trades below it.", place="EG",
          is_final=True),
    _rule("C03", "INSTRUMENT_UNKNOWN", "instrument", rules.instrument_unknown, "The terms of the symbol are loaded.",
          is_final=True),
    _rule("C01", "HALTED", "trading state", rules.halted, "In HALTED only exits of the kill procedure pass."),
    _rule("C01", "REDUCE_STATE", "trading state", rules.reduce_state, "In REDUCING only orders pass that shrink the verified "
          "position, with everything that works on their side.", spares=REDUCING),
    _rule("C01", "RECOVERING", "recovery", rules.recovering, "After an unclean end nothing but exits leaves until a "
          "reconciliation is clean.", spares=EXIT),
    _rule("C01", "ACCOUNT_NOT_ARMED", "account", rules.account_not_armed, "The account is listed as allowed to trade.",
          path="arm.accounts"),
    _rule("C01", "LIVE_NOT_ARMED", "broker", rules.live_not_armed, "A broker that is not listed as paper needs the live "
          "switch.", path="arm.live"),
    _rule("C12", "INTENT_USED", "intent id", rules.intent_used, "Every parent and amendment carries an intent id, and no id "
          "serves two orders."),
    _most("C13", "UNKNOWN_COUNT", "unknown.max_count", "orders in UNKNOWN", sizes.unknown_count, "UNKNOWN_UNREADABLE",
          "Too many orders whose fate is unknown stop new ones.", spares=EXIT, place="GM"),
    _most("C13", "UNKNOWN_AGE", "unknown.max_age_s", "age of the oldest order in UNKNOWN", sizes.unknown_age,
          "UNKNOWN_UNREADABLE", "An order whose fate is unknown for too long stops new ones.", spares=EXIT, place="GM",
          is_time=True),
    _rule("C33", "CHANNEL_NOT_UP", "broker channel", rules.channel_not_up, "A channel that is down or resyncing takes only "
          "cancels and queries; nothing is queued to fire later."),
    _most("C34", "CLOCK_JUMP", "clock.max_jump_s", "jump of the wall clock", sizes.clock_jump, "CLOCK_UNKNOWN",
          "The wall clock agrees with the machine's own timer.", place="GM", is_time=True),
    _most("C34", "CLOCK_OFFSET", "clock.max_offset_s", "difference between the broker's clock and ours", sizes.clock_offset,
          "CLOCK_UNKNOWN", "The broker's clock agrees with ours, by the last comparison of positions.", spares=EXIT,
          place="GM", is_time=True),
    _rule("C35", "LEDGER_UNHEALTHY", "ledger", rules.ledger_unhealthy, "An intent that cannot become durable is not sent; "
          "after a failed write the gate is shut until the next start.", place="GM"),
)  # fmt: skip

_STATIC = (
    _rule("C03", "INSTRUMENT_EXPIRED", "expiry", rules.instrument_expired, "The instrument has not expired."),
    _rule("C03", "RATE_NONE", "currency rate", rules.rate_none, "The currency of the instrument has a rate to the base "
          "currency.", path="currency"),
    _most("C03", "RATE_STALE", "fx.max_age_s", "age of the currency rate", sizes.rate_age, "INSTRUMENT_UNKNOWN", "The rate from "
          "the instrument's currency to the base currency is not too old; the base currency needs none.", is_time=True),
    _rule("C04", "TICK", "prices", rules.off_tick, "Prices lie on the tick table; nothing is rounded.", place="EG"),
    _rule("C04", "LOT", "quantity", rules.off_lot, "The quantity is a whole number of lots.", place="EG"),
    _most("C04", "QTY_MIN", "", "order quantity", sizes.qty, "NUMBER_BAD", "The quantity reaches the venue's minimum.",
          place="EG", bound=sizes.venue_qty_min, is_floor=True),
    _most("C04", "QTY_VENUE_MAX", "", "order quantity", sizes.qty, "NUMBER_BAD", "The quantity stays within the venue's "
          "maximum (freeze quantity).", place="EG", bound=sizes.venue_qty_max),
    _most("C04", "NOTIONAL_MIN", "", "order amount in its own currency", sizes.own_notional, "PRICE_NONE", "The amount "
          "reaches the venue's minimum.", place="EG", bound=sizes.venue_notional_min, is_floor=True),
    _rule("C05", "TYPE_UNSUPPORTED", "order type and time in force", rules.type_unsupported, "The broker takes this type "
          "with this time in force; nothing is emulated silently.", place="EG"),
    _rule("C05", "FLAG_UNSUPPORTED", "order flags", rules.flag_unsupported, "The broker knows post-only, reduce-only or "
          "amend, where it is asked for.", place="EG", spares=EXIT),
    _rule("C05", "SHORT_UNSUPPORTED", "worst short position", rules.short_unsupported, "Where the broker cannot hold shorts "
          "no order may lead below zero.", place="EG"),
    _rule("C23", "SYMBOL_RESTRICTED", "symbol", rules.symbol_restricted, "A restricted symbol is never traded; the "
          "restricted list wins over the allowed one.", path="symbols.restricted"),
    _rule("C23", "SYMBOL_NOT_ALLOWED", "symbol", rules.symbol_not_allowed, "The symbol is on the allowed list.",
          path="symbols.allowed"),
    _rule("C24", "SESSION_UNKNOWN", "trading session", rules.session_unknown, "The exchange calendar of the symbol is "
          "known."),
    _rule("C24", "SESSION_CLOSED", "trading session", rules.session_closed, "The symbol is in a trading session; an order for "
          "the opening auction comes before it."),
    _rule("C24", "SYMBOL_HALTED", "trading status", rules.symbol_halted, "The venue has not halted the symbol, nor put it "
          "into an auction or another phase without continuous trading."),
    _rule("C30", "SOURCE_NOT_ALLOWED", "source", rules.source_not_allowed, "The source may trade, this account and this "
          "symbol.", path="authority.{source}.may_trade", spares=EXIT),
    _most("C30", "SOURCE_NOTIONAL", "authority.{source}.max_notional", "order amount", sizes.notional, "PRICE_NONE",
          "The amount stays within what the source may order.", spares=EXIT),
)  # fmt: skip

_PRICE = (
    _rule("C10", "QUOTE_NONE", "quote", rules.quote_none, "There is a quote.", place="GM"),
    _rule("C10", "QUOTE_ONE_SIDED", "quote", rules.quote_one_sided, "The quote has a bid and an offer.", place="GM"),
    _rule("C10", "QUOTE_UNUSABLE", "quote", rules.quote_unusable, "Bid and offer are finite, and above zero unless the "
          "instrument trades below it.", place="GM"),
    _rule("C10", "QUOTE_CROSSED", "quote", rules.quote_crossed, "The bid is not above the offer.", place="GM"),
    _most("C10", "QUOTE_STALE", "price.max_quote_age_s", "age of the quote", sizes.quote_age, "QUOTE_NONE", "The quote is "
          "fresh; a time stamp from the future counts like one from the past.", place="GM", is_time=True),
    _most("C10", "QUOTE_OUTLIER", "price.max_outlier_pct", "distance of the quote's middle from the last trade in percent",
          sizes.outlier, "QUOTE_UNUSABLE", "The middle of the quote is near the last trade; before the first trade there is "
          "nothing to compare.", place="GM"),
    _most("C09", "COLLAR", "price.collar_pct", "reach through the market in percent", sizes.reach, "PRICE_NONE", "Limit, "
          "stop-limit and market orders reach only so far through the middle of the quote.", place="EG"),
    _most("C09", "FAR", "price.far_pct", "distance from the market in percent", sizes.distance, "PRICE_NONE", "A resting "
          "price or a stop trigger is not absurdly far away.", place="EG"),
)  # fmt: skip

_SIZE = (
    _most("C06", "QTY_MAX", "order.max_qty", "order quantity", sizes.qty, "NUMBER_BAD", "The quantity stays within the limit "
          "of one order.", spares=EXIT, place="EG"),
    _most("C07", "NOTIONAL_MAX", "order.max_notional", "order amount", sizes.notional, "PRICE_NONE", "The amount stays within "
          "the limit of one order. A combination is one order (here, in C29, C30 and C31): the amounts of its legs are added up. An order without a price counts at its collar, without a usable quote it is denied.",
          spares=EXIT, place="EG"),
    _most("C08", "ADV_PCT", "order.max_adv_pct", "share of the average daily volume in percent", sizes.adv_pct,
          "PRICE_NONE", "The quantity is a bounded share of a day's volume.", spares=EXIT),
    _most("C08", "ADV_NONE", "order.max_notional_without_adv", "order amount without a known daily volume",
          sizes.notional_without_adv, "PRICE_NONE", "Where a day's volume is not known a tighter amount holds.",
          spares=EXIT),
    _rule("C26", "SELF_CROSS", "own opposite orders", rules.self_cross, "The order cannot trade with one of our own, of any "
          "strategy or account; a market order reaches as far as its price collar. Untriggered stops do not count."),
    _rule("C25", "SHORT_LOCATE", "worst short position", rules.short_locate, "A sale of shares that the verified position may not "
          "cover is a short sale, and needs a symbol that can be borrowed without a locate, or what is left of the account's locates "
          "(short.locates): what was sold short in the day has used them up, bought back or not.", path="short.locate_free"),
    _rule("C25", "SHORT_PRICE_TEST", "price of a short sale", rules.short_price_test, "Under a price test a short sale has a "
          "limit above the bid.", path="short.price_test"),
    _rule("C27", "PARENT_GONE", "parent", rules.parent_gone, "A child belongs to a parent that is open and not stopping.",
          place="GBM"),
    _most("C27", "PARENT_OVER", "", "filled, working and unknown children with this one", sizes.children, "PARENT_GONE",
          "Children never exceed their parent, by the order store and by what was sent, whichever is more.", place="GBM",
          bound=sizes.parent_qty),
    _most("C29", "UNITS_CONFIRM", "order.confirm_notional", "order amount", sizes.asked_notional, "PRICE_NONE", "A person "
          "sees quantity and amount with their units, and confirms a large amount again.", place="EG",
          is_confirmable=True, spares=EXIT),
    _most("C31", "FOUR_EYES", "order.four_eyes_notional", "order amount that no second person approved",
          sizes.unapproved_notional, "PRICE_NONE", "Above this amount an order waits until a second person approves exactly it; "
          "any change needs a new approval. A machine's order, a group and an amendment are denied.", place="EG", spares=EXIT),
)  # fmt: skip

_ACCOUNT = (
    _rule("C16", "NOT_REDUCING", "resulting position", rules.not_reducing, "An order marked reduce-only shrinks the verified "
          "position, with everything that works on its side."),
    _most("C16", "POSITION_MAX", "position.max_qty", "worst position on the order's side", sizes.worst, "NUMBER_BAD",
          "Position plus every live order of the side plus this one.", spares=REDUCING),
    _most("C16", "POSITION_NOTIONAL", "position.max_notional", "worst position on the order's side as an amount",
          sizes.worst_notional, "MARK_NONE", "The same as an amount.", spares=REDUCING),
    _most("C17", "GROSS_MAX", "portfolio.max_gross", "gross exposure", sizes.gross, "MARK_NONE", "Longs plus shorts of the "
          "account, each symbol at its worst end.", spares=REDUCING),
    _most("C17", "NET_MAX", "portfolio.max_net", "net exposure", sizes.net, "MARK_NONE", "Longs minus shorts, at the worse "
          "of both ends.", spares=REDUCING),
    _most("C17", "SECTOR_MAX", "portfolio.max_sector", "gross exposure of the sector", sizes.sector, "MARK_NONE",
          "Gross of the order's sector.", spares=REDUCING),
    _most("C17", "CURRENCY_MAX", "portfolio.max_currency", "gross exposure of the currency", sizes.currency, "MARK_NONE",
          "Gross of the order's currency, where it is not the base currency.", spares=REDUCING),
    _most("C17", "LEVERAGE_MAX", "portfolio.max_leverage_pct", "gross in percent of equity", sizes.leverage, "EQUITY_NONE",
          "Gross exposure against the account's equity.", spares=REDUCING, words=rules.equity_words),
    _most("C18", "MARGIN_MAX", "margin.max_used_pct", "margin needed in percent of equity", sizes.margin, "EQUITY_NONE",
          "Each symbol's worst end ties up the policy's rate of its kind; what a broker itself would ask is not looked at.",
          spares=REDUCING, words=rules.equity_words),
    _most("C19", "OPEN_COUNT", "open_orders.max_count", "open orders of the account", sizes.open_count, "COUNT_NONE",
          "The number of open orders of the account.", spares=EXIT),
    _most("C19", "OPEN_COUNT_SYMBOL", "open_orders.max_count_per_symbol", "open orders of the symbol",
          sizes.open_count_symbol, "COUNT_NONE", "The number of open orders of the symbol.", spares=EXIT),
    _most("C19", "OPEN_NOTIONAL", "open_orders.max_notional", "open orders as an amount", sizes.working, "MARK_NONE",
          "The amount of all open orders of the account.", spares=REDUCING),
    _most("C19", "OPEN_NOTIONAL_SYMBOL", "open_orders.max_notional_per_symbol", "open orders of the symbol as an amount",
          sizes.working_symbol, "MARK_NONE", "The amount of all open orders of the symbol.", spares=REDUCING),
    _most("C20", "TURNOVER_MAX", "day.max_turnover", "turnover of the day", sizes.turnover, "PRICE_NONE", "Traded today plus "
          "this order.", spares=REDUCING),
    _most("C20", "DAY_ORDERS", "day.max_orders", "orders sent today", sizes.day_orders, "COUNT_NONE", "Orders and amendments "
          "sent today, rejected ones too.", spares=REDUCING),
    _most("C20", "DAY_CANCELS", "day.max_cancels", "cancels sent today", sizes.day_cancels, "COUNT_NONE", "Cancels sent "
          "today; a cancel itself always passes.", spares=REDUCING),
    _most("C22", "OTR_MAX", "day.max_order_to_trade", "messages for each execution today", sizes.order_to_trade, "COUNT_NONE",
          "Orders, amendments and cancels of the day for each execution, once there are day.ratio_from of them.",
          spares=REDUCING, place="GM"),
    _most("C21", "LOSS_MAX", "loss.max_day", "loss of the day", sizes.loss, "PNL_UNKNOWN", "Realised and unrealised loss of "
          "the day; a stale mark makes it unknown, and then only orders that shrink pass.", spares=REDUCING, place="GM",
          words=rules.pnl_words),
    _most("C21", "DRAWDOWN_MAX", "loss.max_drawdown", "drawdown of the day", sizes.drawdown, "PNL_UNKNOWN", "Fall from the "
          "day's best result.", spares=REDUCING, place="GM", words=rules.pnl_words),
    _most("C32", "RECON_STALE", "reconcile.max_age_s", "time since the last clean reconciliation", sizes.recon_age,
          "RECON_NEVER", "Positions were compared with the broker lately; otherwise only orders that shrink pass.",
          spares=REDUCING, place="GM", is_time=True),
)  # fmt: skip

_RATES = (
    _most("C11", "DUPLICATE", "duplicate.window_s", "time since the same order", sizes.since_same, "CLOCK_UNKNOWN", "The same "
          "account, symbol, side, quantity and prices again within the window: a person confirms it, a machine is denied. Another "
          "venue makes it no other order. Children of one parent are held by C27 instead.", is_time=True, is_floor=True, is_confirmable=True, place="EG"),
    _most("C14", "RATE_BROKER", "rate.max_per_s_broker", "messages to the broker in a second", sizes.rate_broker,
          "COUNT_NONE", "New orders and amendments of a second; cancels have a lane of their own.", spares=EXIT),
    _most("C14", "RATE_VENUE", "", "messages to the broker in a second, cancels too", sizes.rate_venue, "BROKER_UNKNOWN",
          "The broker's own limit, of which a fifth is kept for cancels.", bound=sizes.venue_rate, spares=EXIT),
    _most("C14", "RATE_ACCOUNT", "rate.max_per_s_account", "messages of the account in a second", sizes.rate_account,
          "COUNT_NONE", "The same for the account.", spares=EXIT),
    _most("C14", "RATE_SOURCE", "rate.max_per_s_source", "messages of the source in a second", sizes.rate_source,
          "COUNT_NONE", "The same for one user or strategy.", spares=EXIT),
    _most("C15", "REPEAT", "repeat.max_orders", "executed orders in one direction within the window", sizes.repeats,
          "COUNT_NONE", "A strategy or algorithm that keeps executing one symbol in one direction is disabled until a person "
          "re-arms it.", spares=REDUCING, place="GM"),
)  # fmt: skip

ROWS: tuple[Row, ...] = (*_STATE, *_STATIC, *_PRICE, *_SIZE, *_ACCOUNT, *_RATES)
"""What an order passes, in the order of the gate."""

BASKET_BLOCKED = Row(
    control="C28",
    code="BASKET_BLOCKED",
    place="B",
    input="lines of the basket that are denied",
    doc="One denied line, with the lines before it counted as sent, keeps the whole basket here: mend that line, or drop the basket. "
    "All lines leave in one second, so a basket has at most as many as `rate.max_per_s_source` lets its source send (20 as shipped), and of one symbol "
    "as `open_orders.max_count_per_symbol` leaves room for (50): a longer list is several baskets, released a second apart.",
)
BASKET_CONFIRM = Row(
    control="C28",
    code="BASKET_CONFIRM",
    place="B",
    input="amount of the whole basket",
    path="order.confirm_notional",
    unknown="PRICE_NONE",
    doc="A person sees count and total of a basket, and confirms a large total as one amount (`--confirm BASKET_CONFIRM`), or what one "
    "of its lines asks to be confirmed.",
    is_confirmable=True,
)
BASKET_ROWS: tuple[Row, ...] = (BASKET_BLOCKED, BASKET_CONFIRM)
"""Asked once for a basket, when it is to leave; its lines pass the other rows as orders (``basket_rows``)."""

TABLE: tuple[Row, ...] = (*ROWS, *BASKET_ROWS)
"""All controls."""

CONTROLS = tuple(f"C{number:02d}" for number in range(1, 37))
