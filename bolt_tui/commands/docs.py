"""Makes `docs/commands.md` from the table of subcommands, the exit codes and the settings: `python -m bolt_tui.commands.docs`.

A test compares the page with what this makes, so that the page cannot grow old.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from bolt_tui import notify_settings, settings
from bolt_tui.commands.exits import MEANINGS, Exit
from bolt_tui.commands.subcommand import Arg, Subcommand
from bolt_tui.commands.table import GROUPS

INTRO = """\
# Commands

Made from the command table by `python -m bolt_tui.commands.docs`; do not edit.

Data goes to stdout, words go to stderr. Every subcommand takes `--help`, which shows an example, and `--json`: objects
with a `schema` number and a `type`, decimals as text, times in nanoseconds UTC. A failure is then an object of type `error`
with `code`, `text` and `exit`. Lists also take `--csv` (one header line, words on stderr) and `--plain` (a sentence a row, each figure
behind its name, for screen readers). State lives in the folder that `BOLT_HOME` names, or in the platform's data folder.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRO, _exits()]
    for title, rows in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_section(row) for row in rows if not row.is_hidden]
    parts.append(_settings())
    return "\n".join(parts)


def _exits() -> str:
    rows = "\n".join(f"| {int(code)} | {meaning} |" for code, meaning in MEANINGS.items())
    return f"## Exit codes\n\n| code | means |\n|---|---|\n{rows}\n"


def _section(row: Subcommand) -> str:
    lines = [f"### bolt {row.name}", "", " ".join(part for part in (row.summary, row.detail) if part), ""]
    lines += ["```", row.example, "```", ""]
    arguments = [(_words(argument), argument.help) for argument in row.args]
    if row.extend:
        arguments += list(_extended(row.extend))
    if arguments:
        lines += ["| argument | means |", "|---|---|"]
        lines += [f"| `{words}` | {_cell(means)} |" for words, means in arguments]
        lines.append("")
    codes = sorted({Exit.OK, Exit.USAGE, *row.exits})
    lines += [f"Exit codes: {', '.join(str(int(code)) for code in codes)}.", ""]
    return "\n".join(lines)


def _words(argument: Arg) -> str:
    options = argument.options
    value = options.get("metavar") or "|".join(options.get("choices", ()))
    if options.get("action") == "store_true" or not argument.flags[0].startswith("-"):
        value = "" if argument.flags[0].startswith("-") else value or argument.flags[0]
    shown = [flag for flag in argument.flags if flag.startswith("-")]
    return " ".join(part for part in (", ".join(shown), value) if part)


def _extended(module: str) -> Iterator[tuple[str, str]]:
    made = argparse.ArgumentParser(add_help=False)
    import_module(module).add_arguments(made)
    for action in made._actions:  # noqa: SLF001 - argparse has no other way to list its arguments
        if "--json" in action.option_strings:
            continue
        takes_value = action.nargs != 0
        value = str(action.metavar or action.dest.upper()) if takes_value else ""
        yield " ".join(part for part in (", ".join(action.option_strings), value) if part), action.help or ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _settings() -> str:
    """The settings with their defaults and the docstrings of their fields, read from the source."""
    sources = [Path(str(module.__file__)).read_text(encoding="utf-8") for module in (settings, notify_settings)]
    trees = [node for source in sources for node in ast.parse(source).body]
    classes = {node.name: node for node in trees if isinstance(node, ast.ClassDef)}
    rows = [f"| `{name}` | `{default}` | {means} |" for name, default, means in _fields(classes, "Settings", "")]
    head = (
        "## Settings\n\n`settings.yaml` in the state folder; optional, and an unknown key or a wrong type is refused.\n"
    )
    return "\n".join([head, "| setting | default | means |", "|---|---|---|", *rows, ""])


def _fields(classes: dict[str, ast.ClassDef], name: str, prefix: str) -> Iterator[tuple[str, str, str]]:
    body = classes[name].body
    for at, node in enumerate(body):
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or node.value is None:
            continue
        kind = ast.unparse(node.annotation)
        if kind in classes:
            yield from _fields(classes, kind, f"{prefix}{node.target.id}.")
            continue
        after = body[at + 1] if at + 1 < len(body) else None
        means = ast.unparse(after.value) if isinstance(after, ast.Expr) else "''"
        yield prefix + node.target.id, ast.unparse(node.value), " ".join(str(ast.literal_eval(means)).split())


if __name__ == "__main__":
    Path("docs/commands.md").write_text(page(), encoding="utf-8")
