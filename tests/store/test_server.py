"""A ledger on a real PostgreSQL server keeps every promise of one in a file."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from engine.domain import events as ev
from engine.domain.errors import StoreCorrupt, StoreLocked, StoreUnwritable
from engine.domain.ledger_events import InstrumentDefined
from engine.store import postgres
from engine.store.export import write_rows
from engine.store.journal import read_journal
from engine.store.link import holder_of, open_reader
from engine.store.place import ServerPlace
from engine.store.verify import last_seq, state_hash, verify
from tests.replay.tape import quotes, replay
from tests.replay.tape import trade as printed
from tests.store.server import Server
from tests.store.shop import AAPL, Desk, alert, fill, make, trade


@pytest.fixture
def place(server: Server, tmp_path: Path) -> ServerPlace:
    """An empty database."""
    return ServerPlace(server.make_database(), tmp_path)


@pytest.fixture
def ledger(place: ServerPlace) -> ServerPlace:
    trade(place)
    return place


def state_of(place: Path | ServerPlace) -> str:
    projections = make()
    for row in read_journal(place):
        for projection in projections:
            projection.apply(row.seq, row.ts_ns, ev.decode_event(row.payload))
    return state_hash(projections)


# -- the same ledger ---------------------------------------------------------------------------------------------------


def test_a_replay_makes_the_same_ledger_on_both_stores(place: ServerPlace, tmp_path: Path) -> None:
    start, end = "2024-03-05T15:00:00Z", "2024-03-05T15:06:00Z"
    rows = quotes(start, end, mic="XNAS", every_s=2)
    rows += [printed(f"2024-03-05T15:0{minute}:30Z", "10.00", 200, mic="XNAS") for minute in range(6)]
    terms = "tick=0.01,lot=1,ccy=USD,mic=XNAS"
    file = tmp_path / "ledger.db"
    told = [replay(tmp_path, rows, "b 600 ABC twap 5m", terms=terms, ledger=kept) for kept in (None, file, place)]
    assert told[0]["fills"]
    assert len({result["ledger_hash"] for result in told}) == 1
    assert [(row.seq, row.payload, row.hash) for row in read_journal(file)] == [
        (row.seq, row.payload, row.hash) for row in read_journal(place)
    ]
    assert state_of(file) == state_of(place)
    for kept in (file, place):
        assert verify(kept, make).findings == (), "the tables as well"
    exports = []
    for kept in (file, place):
        out = io.StringIO()
        write_rows(read_journal(kept), out, "yaml")
        exports.append(out.getvalue())
    assert exports[0] == exports[1]


def test_rows_of_every_kind_come_back_as_they_went(ledger: ServerPlace) -> None:
    desk = Desk(ledger)
    odd = "ünï 'quote' % %s ? :name \x7f \u2028 \U0001f600"
    desk.record(alert(1, odd))
    desk.journal.commit()
    assert b"%s ? :name" in next(iter(desk.journal.read(9))).payload
    desk.journal.close()
    (row,) = read_journal(ledger, 9)
    event = ev.decode_event(row.payload)
    assert isinstance(event, ev.AlertRaised)
    assert event.text == odd
    assert last_seq(ledger) == 9
    assert [row.seq for row in read_journal(ledger, 3, 2)] == [3, 4]


# -- one writer --------------------------------------------------------------------------------------------------------


def test_a_second_engine_is_refused_until_the_first_is_gone(ledger: ServerPlace) -> None:
    assert holder_of(ledger) == 0
    desk = Desk(ledger)
    assert holder_of(ledger) == os.getpid()
    with closing(postgres.ServerLink(ledger, is_writer=True)) as link, pytest.raises(StoreLocked) as refused:
        link.take_lock(0.1)
    assert f"held by another engine (pid {os.getpid()} on " in str(refused.value)
    assert [row.seq for row in read_journal(ledger)] == list(range(1, 9)), "readers need no lock"
    desk.journal.close()
    Desk(ledger).journal.close()


def test_each_schema_holds_a_ledger_of_its_own(server: Server, tmp_path: Path) -> None:
    url = server.make_database()
    server.sql(url, "CREATE SCHEMA one", "CREATE SCHEMA two")
    places = [ServerPlace(f"{url}&options=-csearch_path%3D{name}", tmp_path) for name in ("one", "two")]
    desks = [Desk(place) for place in places]
    for desk in desks:
        desk.journal.close()
    assert len({place.head_file for place in places}) == 2
    assert server.sql(url, "SELECT count(*) FROM information_schema.tables WHERE table_name = 'journal'") == [(2,)]


def test_two_writers_without_the_lock_do_not_both_go_on(ledger: ServerPlace, server: Server) -> None:
    """The lock is a courtesy; the key and the unique link are the fence."""
    one = Desk(ledger)
    server.sql(ledger.url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    two = Desk(ledger)
    two.record(InstrumentDefined(instrument=AAPL))
    two.journal.commit()
    two.journal.close()
    one.record(alert(1))
    with pytest.raises(StoreLocked, match="another program wrote row 9"):
        one.journal.commit()
    with pytest.raises(StoreUnwritable, match="another program wrote"):
        one.record(alert(2))
    one.journal.close()
    assert verify(ledger, make).findings == ()


def test_the_number_comes_from_the_writer_and_no_two_rows_stand_behind_one(ledger: ServerPlace, server: Server) -> None:
    again = "INSERT INTO journal SELECT {}, ts_ns, kind, payload, {}, hash FROM journal WHERE seq = 8"
    with pytest.raises(psycopg.errors.UniqueViolation, match="prev_hash"):
        server.sql(ledger.url, again.format(99, "prev_hash"))
    with pytest.raises(psycopg.errors.UniqueViolation, match="journal_pkey"):
        server.sql(ledger.url, again.format(8, "hash"))
    assert server.sql(
        ledger.url, "SELECT column_default FROM information_schema.columns WHERE column_name = 'seq'"
    ) == [
        (None,),
        (None,),
    ]


# -- a commit without an answer ----------------------------------------------------------------------------------------


class Cut:
    """The engine's line to its server, cut at a COMMIT: before it left, or after it was carried out and before its answer."""

    def __init__(self, inner: postgres.ServerLink, cut: Callable[[], object], *, after: bool) -> None:
        self._inner, self._cut, self._after = inner, cut, after
        self.cuts = 1

    def execute(self, words: str, values: object = (), /) -> object:
        if words != "COMMIT" or not self.cuts:
            return self._inner.execute(words, values)  # type: ignore[arg-type] # handed on as it came
        self.cuts -= 1
        if self._after:
            self._inner.execute(words)
        self._cut()
        return self._inner.execute("SELECT 1")

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)


@pytest.mark.parametrize("after", [False, True], ids=["before it was done", "after it was done"])
@pytest.mark.parametrize("how", ["line", "server"])
def test_a_commit_without_an_answer_is_decided_by_the_last_row(
    ledger: ServerPlace, server: Server, how: str, after: bool
) -> None:
    def cut() -> None:
        if how == "line":
            server.sql(ledger.url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
        else:
            server.stop(signal.SIGQUIT)
            server.start()

    desk = Desk(ledger)
    journal = desk.journal
    inner = journal._connection
    assert isinstance(inner, postgres.ServerLink)
    link = Cut(inner, cut, after=after)
    journal._connection = link  # type: ignore[assignment] # the seam of the fault
    desk.record(fill(50))
    desk.record(fill(51))
    assert journal.commit() == 10
    assert (journal.durable_seq, journal.failed, link.cuts) == (10, "", 0)
    desk.record(fill(52))
    assert journal.commit() == 11
    assert holder_of(ledger) == os.getpid(), "it holds the lock again"
    journal.close()
    assert verify(ledger, make).findings == ()
    assert [row.seq for row in read_journal(ledger)] == list(range(1, 12)), "nothing twice, nothing lost"


def test_a_server_that_comes_back_without_what_it_confirmed_is_told_apart(ledger: ServerPlace, server: Server) -> None:
    """An older copy was put in its place while a commit waited for its answer: no program wrote there, rows are gone."""

    def cut() -> None:
        server.sql(ledger.url, "DELETE FROM journal WHERE seq >= 7")
        server.sql(ledger.url, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")

    desk = Desk(ledger)
    inner = desk.journal._connection
    assert isinstance(inner, postgres.ServerLink)
    desk.journal._connection = Cut(inner, cut, after=False)  # type: ignore[assignment] # the seam of the fault
    desk.record(fill(50))
    with pytest.raises(StoreCorrupt, match="ends at row 6, and its server had confirmed row 8"):
        desk.journal.commit()
    assert "had confirmed row 8" in desk.journal.failed
    desk.journal.close()


def test_a_server_that_ends_again_before_its_last_row_was_read_is_asked_once_more(
    ledger: ServerPlace, server: Server
) -> None:
    def cut() -> None:
        server.stop(signal.SIGQUIT)
        server.start()

    class CutTwice(Cut):
        ended_again = False

        def again(self) -> None:
            self._inner.again()
            if not self.ended_again:
                self.ended_again = True
                cut()

    desk = Desk(ledger)
    inner = desk.journal._connection
    assert isinstance(inner, postgres.ServerLink)
    link = CutTwice(inner, cut, after=True)
    desk.journal._connection = link  # type: ignore[assignment] # the seam of the fault
    desk.record(fill(50))
    assert desk.journal.commit() == 9
    assert (desk.journal.failed, link.ended_again) == ("", True)
    desk.journal.close()
    assert verify(ledger, make).findings == ()
    assert [row.seq for row in read_journal(ledger)] == list(range(1, 10)), "nothing twice, nothing lost"


def test_a_server_that_does_not_answer_is_given_up_and_decided_when_it_is_back(
    ledger: ServerPlace, server: Server
) -> None:
    """Stopped as a whole: no line breaks, and no word comes."""
    desk = Desk(ledger)
    link = desk.journal._connection
    assert isinstance(link, postgres.ServerLink)
    link._line.answer_s = 0.3
    desk.record(fill(50))
    done, silent = threading.Event(), threading.Event()
    desk.journal.on_trouble = lambda code, _words: silent.set() if code == "SERVER_SILENT" else None

    def commit() -> None:
        desk.journal.commit()
        done.set()

    thread = threading.Thread(target=commit)
    with server.frozen():
        thread.start()
        assert silent.wait(60), "a person is told while it is silent, not when it is back"
        assert not done.wait(1.0)
        assert desk.journal.durable_seq == 8, "nothing is called durable that no server confirmed"
    assert done.wait(60)
    thread.join()
    assert (desk.journal.durable_seq, desk.journal.failed) == (9, "")
    desk.journal.close()
    assert verify(ledger, make).findings == ()


# -- what a connection refuses --------------------------------------------------------------------------------------------


def test_a_commit_that_the_server_turned_into_a_rollback_is_none(ledger: ServerPlace) -> None:
    """So it answers where a statement of the transaction had failed, and raises nothing."""
    with closing(postgres.open_server_writer(ledger)) as link:
        link.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnwritable):
            link.execute("SELECT 1 / 0")
        with pytest.raises(StoreUnwritable, match="the server answered ROLLBACK to COMMIT"):
            link.execute("COMMIT")


def test_a_reader_that_loses_its_line_within_a_transaction_does_not_go_on_in_another(
    ledger: ServerPlace, server: Server
) -> None:
    """Half of what it read would be of one moment, half of another. Outside of one it asks anew."""
    with closing(open_reader(ledger)) as link:
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'bolt reader%'"
        link.execute("BEGIN")
        link.execute("SELECT count(*) FROM journal")
        server.sql(ledger.url, kill)
        with pytest.raises(StoreUnwritable, match="does not answer"):
            link.execute("SELECT count(*) FROM journal")
        assert link.execute("SELECT count(*) FROM journal").fetchone() == (8,)
        server.sql(ledger.url, kill)
        assert link.execute("SELECT count(*) FROM journal").fetchone() == (8,)


def test_a_readers_transaction_sees_one_moment_and_writes_nothing(ledger: ServerPlace) -> None:
    with closing(open_reader(ledger)) as link:
        link.execute("BEGIN")
        assert link.execute("SELECT count(*) FROM journal").fetchone() == (8,)
        desk = Desk(ledger)
        desk.record(fill(50))
        desk.journal.close()
        assert link.execute("SELECT count(*) FROM journal").fetchone() == (8,)
        link.execute("COMMIT")
        assert link.execute("SELECT count(*) FROM journal").fetchone() == (9,)
        with pytest.raises(StoreUnwritable, match="is read-only"):
            link.execute("DELETE FROM cash")
    assert verify(ledger, make).findings == ()


def test_a_search_path_without_a_schema_is_named(server: Server, tmp_path: Path) -> None:
    url = server.make_database() + "&options=-csearch_path%3Dnowhere"
    with pytest.raises(StoreUnwritable, match="its search_path names no schema that exists"):
        Desk(ServerPlace(url, tmp_path))


def test_no_error_of_the_library_shows_a_password(tmp_path: Path) -> None:
    """libpq quotes what it cannot read: here the password, which is no percent-encoded text."""
    place = ServerPlace("postgresql://bolt:se%cret@localhost/ledger", tmp_path)
    with pytest.raises(StoreUnwritable, match=r"\*\*\*") as told:
        open_reader(place)
    assert "cret" not in str(told.value)
