"""`bolt basket`: many orders from a csv file, shown with their verdicts and their total, and released as one act."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from bolt_tui.basket_files import read_basket_file
from bolt_tui.commands import show
from bolt_tui.commands.context import NotRead, exit_of
from bolt_tui.commands.exits import Exit
from bolt_tui.commands.orders import grammar_context
from bolt_tui.settings import load_settings
from engine.domain.commands import CommandResult, DropBasket, LookAtBasket, ReleaseBasket, StageBasket
from engine.domain.errors import SettingsError
from engine.domain.ids import check_intent_id, new_intent_id

if TYPE_CHECKING:
    from bolt_tui.commands.context import Context
    from engine.views import DeskView

_ID = re.compile(r"[Bb][0-9]{1,9}")
LINE_HEADERS = ("LINE", "ORDER", "AMOUNT", "VERDICT")


def basket(context: Context) -> Exit:
    """Stage a file, or act on a basket that is staged; ``--release`` sends it where no line blocks it."""
    args = context.args
    if args.release and args.drop:
        raise SettingsError("give --release or --drop, not both")
    with context.client() as client:
        if _ID.fullmatch(args.target) and not Path(args.target).exists():
            basket_id = args.target.upper()
            if args.drop:
                return context.report(client.submit(DropBasket(source=context.source, basket_id=basket_id)))
            result = client.submit(LookAtBasket(source=context.source, basket_id=basket_id))
        else:
            if args.drop:
                raise SettingsError(f"--drop takes the id of a staged basket, such as B1, not {args.target!r}")
            result = client.submit(_staging(context, client.view()))
        _tell(context, result)
        if not args.release or not result.ok or not result.order_id:
            return _end(context, result)
        command = ReleaseBasket(source=context.source, basket_id=result.order_id, confirmed=frozenset(args.confirm))
        released = client.submit(command)
    _tell(context, released)
    return _end(context, released)


def _staging(context: Context, view: DeskView) -> StageBasket:
    """The command that stages the file; raises NotRead with every bad line."""
    args, path = context.args, Path(context.args.target)
    found = read_basket_file(path, grammar_context(view, presets=load_settings(context.found).presets))
    if found.bad:
        told = "\n".join(f"  line {one.line}: {one.text}" if one.line else f"  {one.text}" for one in found.bad)
        raise NotRead(
            "BASKET_BAD",
            f"{path}: {len(found.bad)} bad line{'s' * (len(found.bad) > 1)}, and nothing was staged:\n{told}",
        )
    intent_id = check_intent_id(args.intent) if args.intent else new_intent_id("c")
    return StageBasket(source=context.source, intent_id=intent_id, name=path.name, lines=found.lines, why=args.why)


def _tell(context: Context, result: CommandResult) -> None:
    rows = [
        (
            str(one.line),
            f"{one.order_id} {one.words}".strip(),
            show.number(one.notional),
            "; ".join(f"{denial.control} {denial.code}: {denial.text}" for denial in one.denials) or "passes",
        )
        for one in result.lines
    ]
    if rows:
        context.out.table(LINE_HEADERS, rows, ("LINE", "AMOUNT"))
    context.out.line(result.text)
    for denial in result.denials:
        context.out.line(show.denial_line(denial))


def _end(context: Context, result: CommandResult) -> Exit:
    context.out.object("basket", show.result_fields(result))
    return exit_of(result)
