"""What the documentation says of the code is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from bolt_tui import keymap
from engine.domain.order import STATES, OrderState

ROOT = Path(__file__).parents[2]


def state_table() -> str:
    """The table of order states as Markdown."""
    head = ["| internal | screen | FIX 39 | meaning |", "|---|---|---|---|"]
    rows = [f"| {state.value} | {row.screen} | {row.fix} | {row.meaning} |" for state, row in STATES.items()]
    return "\n".join([*head, *rows])


def test_the_architecture_page_holds_the_state_table() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    found = re.search(r"<!-- states -->\n(.*?)\n<!-- end states -->", page, re.DOTALL)
    assert found is not None
    assert found.group(1).strip() == state_table(), f"put this between the marks:\n{state_table()}"
    assert set(STATES) == set(OrderState)


def test_the_architecture_page_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [path.name for path in (ROOT / "engine").iterdir() if (path / "__init__.py").is_file()]
    missing = [f"engine/{name}" for name in rooms if f"engine/{name}" not in page and name != "domain"]
    assert missing == []


def test_the_keys_page_is_the_key_table() -> None:
    assert (ROOT / "docs" / "keys.md").read_text(encoding="utf-8") == keymap.page(), (
        "run python -m bolt_tui.keymap > docs/keys.md"
    )


def test_links_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []
