"""How each venue is: brokers with their answers, rejects and reconnects, and the feeds of market data with their last word."""

from __future__ import annotations

from engine.views import BrokerView, FeedView
from widgets.formats import age, plain
from widgets.frame import Frame
from widgets.live_table import Cell, Column, LiveTable, Row

COLUMNS = (
    Column(" venue", 14),
    Column("state", 10),
    Column("heard", 7, is_right=True),
    Column("ack ms", 9, is_right=True),
    Column("rejects", 11, is_right=True),
    Column("redials", 8, is_right=True),
    Column("  note", 0),
)
EMPTY = "no broker and no feed: `bolt doctor` looks closer"


class VenuesPanel(LiveTable):
    """Brokers first, then feeds."""

    def __init__(self) -> None:
        super().__init__(COLUMNS, title="Venues: brokers and feeds", empty=EMPTY, id="venues")

    def draw(self, frame: Frame) -> None:
        """Show the picture's brokers and feeds; ages are those of the engine's own time."""
        status = frame.view.status
        rows = [broker_row(item) for item in status.brokers]
        self.show([*rows, *(feed_row(item, status.ts_ns) for item in status.feeds)], frame.now_ns)


def broker_row(item: BrokerView) -> Row:
    """A broker: when it was last compared, median and slowest acknowledgement, rejects of the last orders, reconnects."""
    heard = "" if item.reconciled_s is None else age(int(item.reconciled_s) * 1_000_000_000)
    acks = "" if item.latency_ms is None else f"{item.latency_ms}/{item.latency_ms_p99}"
    rejects = f"{item.rejected} of {item.sent}" if item.sent else ""
    tone = "" if item.state == "up" else "alarm" if item.state == "down" else "warn"
    note = f"  {item.queue} waiting to leave" if item.queue else "  never compared" if item.reconciled_s is None else ""
    cells = (
        f" {plain(item.broker)}",
        Cell(item.state.upper(), tone),
        heard,
        acks,
        Cell(rejects, "warn" if item.rejected else ""),
        str(item.reconnects),
        note,
    )
    return Row(f"broker/{item.broker}", cells)


def feed_row(item: FeedView, now_ns: int) -> Row:
    """A feed: how long ago it spoke, and of how many symbols."""
    state = Cell("STALE", "warn") if item.stale else "LIVE"
    count = f"  feed of {item.symbols} symbol{'' if item.symbols == 1 else 's'}"
    return Row(f"feed/{item.venue}", (f" {plain(item.venue)}", state, age(now_ns - item.heard_ns), "", "", "", count))
