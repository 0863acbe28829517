"""The pages on orders and strategies say what the code does."""

import re
from pathlib import Path
from typing import Any

from engine.domain.clock import duration_word
from engine.intake.drafts import NewOrderDraft
from engine.intake.grammar import parse_order
from engine.intake.strategies.buy_the_dip import BuyTheDip
from engine.intake.strategy_base import parameters
from engine.intake.strategy_loader import load_strategies
from tests.intake.fakes import Desk
from tests.intake.test_grammar import CONTEXT

DOCS = Path(__file__).resolve().parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_example_line_means_what_the_page_says() -> None:
    section = page("order-grammar.md").partition("## Examples")[2].partition("## Other")[0]
    rows = re.findall(r"^\| `(.+?)` \| (.+?) \|$", section, re.MULTILINE)
    assert len(rows) >= 7
    for line, said in rows:
        draft = parse_order(line, CONTEXT)
        assert isinstance(draft, NewOrderDraft)
        assert draft.echo == said


def test_the_example_strategy_loads_and_trades(tmp_path: Path) -> None:
    code = page("strategies.md").partition("```python\n")[2].partition("```")[0]
    (tmp_path / "join.py").write_text(code, encoding="utf-8")
    loaded = load_strategies(tmp_path)
    assert loaded.errors == ()
    desk = Desk(loaded.strategies["JoinTheBid"])
    assert desk.start("JoinTheBid", symbol="AAPL", size="50").ok
    desk.quote("100.00", "100.02")
    desk.quote("100.00", "100.02")
    assert desk.orders == ["buy 50 AAPL limit 100 day: join the bid"]


def test_the_table_of_buy_the_dip_holds_every_parameter_and_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `?(.*?)`? \| ", page("strategies.md"), re.MULTILINE))
    expected = {}
    for name in parameters(BuyTheDip):
        value: Any = getattr(BuyTheDip, name, "none")
        expected[name] = duration_word(value) if name.endswith("_ns") else str(value)
    assert rows == expected
