"""`bolt replay | ledger | policy | doctor | init`: what needs no running engine."""

from __future__ import annotations

import io
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from bolt_tui.commands import show
from bolt_tui.commands.exits import Exit
from engine.domain.errors import SettingsError

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context
    from bolt_tui.settings import Home
    from engine.store.head import Head
    from engine.store.place import Place

_SQLITE = b"SQLite format 3\0"
"""What a ledger's file begins with."""


def init(context: Context) -> Exit:
    """Make the state folder and put the shipped policy in it."""
    from bolt_tui.settings import ensure_policy

    copied = ensure_policy(context.home)
    context.out.object("init", {"home": str(context.home.root), "policy": str(context.home.policy), "copied": copied})
    context.out.line(f"state folder: {context.home.root}")
    word = "copied from the shipped one; read it before you trade" if copied else "yours, left as it is"
    context.out.line(f"limits: {context.home.policy} ({word})")
    return Exit.OK


def doctor(context: Context) -> Exit:
    """Check everything and say what to do."""
    from bolt_tui.doctor import examine

    findings = examine()
    context.out.object("doctor", {"findings": findings, "ok": all(found.ok for found in findings)})
    rows = [("ok" if found.ok else "LOOK", found.name, found.text) for found in findings]
    context.out.table(("", "CHECK", "FOUND"), rows)
    for found in findings:
        if not found.ok:
            context.out.line(f"{found.name}: {found.todo}")
    return Exit.OK if all(found.ok for found in findings) else Exit.INCOMPLETE


def policy_check(context: Context) -> Exit:
    """Read a policy file as the engine would."""
    from engine.risk.policy import check_file

    path = Path(context.args.file) if context.args.file else named_home().policy
    if not context.args.file and not path.exists():
        msg = f"there is no policy at {path} yet; `bolt init` copies the shipped one there, or name a file"
        raise SettingsError(msg)
    problems = check_file(path)
    fields = [{**show.fields(problem), "text": str(problem)} for problem in problems]
    context.out.object("policy_check", {"file": str(path), "ok": not problems, "problems": fields})
    for problem in problems:
        context.out.line(str(problem))
    if not problems:
        context.out.line(f"{path}: can be used")
    return Exit.USAGE if problems else Exit.OK


def replay(context: Context) -> Exit:
    """Trade against recorded data."""
    from bolt_tui.replay import main

    return Exit(main(context.args, context.out))


def named_home() -> Home:
    """The state folder's paths, whether or not it is there: who only reads makes nothing."""
    from bolt_tui.settings import Home, home_path

    return Home(root=home_path())


def ledger_place(context: Context) -> Place:
    """The ledger that was named by path or URL, or the folder's."""
    from engine.store.place import read_place

    home = named_home()
    return read_place(context.args.ledger, home.root) if context.args.ledger else home.place


def open_target(name: str, shown: str = "") -> int:
    """A file descriptor for an export: a new file that only its owner reads, or stdout for a dash. ``shown``: its name for people."""
    if name == "-":
        return os.dup(sys.stdout.fileno())
    try:
        return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    except OSError as error:
        msg = f"{shown or name} cannot be written: {error.strerror}; name a new file in a folder of yours, or - for stdout"
        raise SettingsError(msg) from None


def ledger_verify(context: Context) -> Exit:
    """Prove a ledger, or files that were written from one."""
    from bolt_tui.ledger_tools import tape_beside, verify

    head = _kept_head(context.args.head)
    if context.args.files:
        return _verify_files(context, head)
    place = ledger_place(context)
    tape = tape_beside(place)
    if tape is not None and place != named_home().place and not tape.is_dir():
        tape = None  # a copy of the ledger alone; in the state folder a tape that is gone is a fault
    proof = verify(place, head, tape)
    context.out.object("ledger_verify", {"ledger": str(place), **show.fields(proof)})
    context.out.line(f"{place}: {proof.text}")
    for fault in (*proof.findings, *proof.conservation):
        context.out.line(f"  {fault}")
    if proof.ok:
        context.out.line(f"  keep this elsewhere, for --head: {proof.head_seq}:{proof.head_hash}")
    return Exit.OK if proof.ok else Exit.STORE


def _kept_head(words: str) -> Head | None:
    """A head that a person kept: as words, or in a file such as the note beside a backup."""
    from engine.store.head import read_head

    if not words:
        return None
    try:
        return read_head(Path(words).read_text(encoding="ascii") if Path(words).is_file() else words)
    except (OSError, UnicodeDecodeError) as error:
        msg = f"head {words} cannot be read ({error}); expected SEQ:HASH or a file that holds it"
        raise SettingsError(msg) from None


def _verify_files(context: Context, head: Head | None) -> Exit:
    from engine.store.export import verify_export

    names = context.args.files
    for name in names:
        if _is_ledger(Path(name)):
            msg = f"{name} is a ledger and no exported file; `bolt ledger verify --ledger {name}` proves it"
            raise SettingsError(msg)
    report = verify_export([Path(name) for name in names], [head] if head else [])
    context.out.object("export_verify", {"files": names, **show.fields(report)})
    what = f"rows {report.first_seq} to {report.head_seq}, head {report.head_hash[:16]}"
    context.out.line(
        f"{len(names)} file{'s' if len(names) > 1 else ''}: {what}: {'every record, hash and link holds' if report.ok else 'NOT PROVEN'}"
    )
    for fault in report.findings:
        context.out.line(f"  {fault}")
    return Exit.OK if report.ok else Exit.STORE


def _is_ledger(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False  # whoever reads it says why it cannot be read


def ledger_show(context: Context) -> Exit:
    """Show journal rows."""
    from bolt_tui.commands.lists import first_row, row_limit
    from engine.domain.clock import iso
    from engine.store.verify import last_seq, shown

    place, limit = ledger_place(context), row_limit(context)
    start = first_row(context) or max(1, last_seq(place) - limit + 1)
    rows = list(shown(place, start, limit))
    context.out.object("ledger_show", {"ledger": str(place), "rows": rows})
    for row in rows:
        payload = msgspec.json.encode(row["payload"]).decode()
        context.out.line(f"{row['seq']:>7} {iso(row['ts_ns'])} {row['hash'][:12]} {payload}")
    return Exit.OK


def _beside(target: str) -> str:
    """Where a file is written until it is whole, so that one that was cut short never stands under its name: it would prove itself.

    What is no file, and what a link leads to, is written where it stands.
    """
    path = Path(target)
    is_other = target == "-" or path.is_symlink() or (path.exists() and not path.is_file())
    return target if is_other else f"{target}.part"


def ledger_export(context: Context) -> Exit:
    """Write the journal out."""
    import gzip

    from engine.store.export import form_of, write_rows
    from engine.store.journal import read_journal
    from engine.store.verify import last_seq

    place, target = ledger_place(context), context.args.file
    last_seq(place)  # a ledger that cannot be read is said before the target is emptied
    form = form_of(target)
    fresh = _beside(target)
    try:
        with os.fdopen(open_target(fresh, target), "wb") as file, ExitStack() as stack:
            packed = (
                stack.enter_context(gzip.GzipFile("", "wb", fileobj=file, mtime=0)) if target.endswith(".gz") else file
            )
            out = stack.enter_context(io.TextIOWrapper(packed, encoding="utf-8", newline="\n"))
            count = write_rows(read_journal(place), out, form)
        if fresh != target:
            Path(fresh).replace(target)
    except OSError as error:
        error.filename = target if error.filename in {None, fresh} else error.filename
        raise
    finally:
        if fresh != target:
            Path(fresh).unlink(missing_ok=True)
    context.out.say(f"bolt: {count} rows written to {'stdout' if target == '-' else target} as {form}")
    return Exit.OK


def ledger_backup(context: Context) -> Exit:
    """Copy a ledger, also while an engine writes it, and prove the copy."""
    from bolt_tui.ledger_tools import verify
    from bolt_tui.wiring import projections
    from engine.store.backup import backup
    from engine.store.place import read_place

    place = ledger_place(context)
    target = read_place(context.args.target, named_home().root)
    copied = backup(place, target, projections)
    proof = verify(target, None, None)  # the tape is not copied
    fields = {"ledger": str(place), "target": str(target), "rows": copied.rows, "head_hash": copied.head_hash}
    context.out.object("ledger_backup", {**fields, "ok": proof.ok, "findings": (*proof.findings, *proof.conservation)})
    context.out.line(f"{target}: {proof.text}")
    for fault in (*proof.findings, *proof.conservation):
        context.out.line(f"  {fault}")
    return Exit.OK if proof.ok else Exit.STORE


def ledger_archive(context: Context) -> Exit:
    """Write the days that are over to files of their own."""
    from engine.domain.clock import SystemClock, iso
    from engine.store.backup import DAY_CHARS, archive

    place, folder = ledger_place(context), Path(context.args.folder)
    days = archive(place, folder, iso(SystemClock().now_ns())[:DAY_CHARS])
    context.out.object("ledger_archive", {"ledger": str(place), "folder": str(folder), "days": days})
    for day in days:
        context.out.line(f"{day.path}: rows {day.first_seq} to {day.last_seq}")
    if not days:
        context.out.line(f"{folder}: holds every day that is over")
    return Exit.OK


def ledger_rebuild(context: Context) -> Exit:
    """Make the projections again."""
    from bolt_tui.wiring import projections
    from engine.store.verify import rebuild

    place = ledger_place(context)
    count = rebuild(place, projections)
    context.out.object("ledger_rebuild", {"ledger": str(place), "rows": count})
    context.out.line(f"{place}: projections made again from {count} journal rows")
    return Exit.OK


def ledger_upgrade(context: Context) -> Exit:
    """Bring an older ledger file to the tables of this Bolt."""
    from bolt_tui.wiring import projections
    from engine.store.place import ServerPlace
    from engine.store.upgrade import upgrade

    place = ledger_place(context)
    if isinstance(place, ServerPlace):
        msg = f"{place} is on a server; copy it to a file with `bolt ledger backup FILE` of the Bolt that wrote it, and upgrade that"
        raise SettingsError(msg)
    done = upgrade(place, projections)
    context.out.object(
        "ledger_upgrade", {"ledger": str(place), "before": done.before, "rows": done.rows, "backup": done.backup}
    )
    context.out.line(
        f"{place}: schema {done.before} as it was is in {done.backup}; projections made from {done.rows} journal rows"
    )
    return Exit.OK


def policy_explain(context: Context) -> Exit:
    """Explain a reason code."""
    from engine.risk.controls_docs import explain, nearest

    code = context.args.code.upper()
    words = explain(code)
    if words is None:
        near = nearest(code)
        hint = f"; did you mean {near}?" if near else "; a denial shows its code in front of its text"
        msg = f"there is no reason code {code!r}{hint}"
        raise SettingsError(msg)
    context.out.object("policy_explain", {"code": code, "text": words})
    context.out.line(words)
    return Exit.OK
