"""Strategies from a folder: found by name, refused with the file and the reason."""

import hashlib
from pathlib import Path

from engine.intake.strategies.buy_the_dip import BuyTheDip
from engine.intake.strategy_loader import load_strategies

GOOD = """
from __future__ import annotations
from engine.intake.strategy_base import Strategy

class {name}(Strategy):
    symbol: str
    size: int = 5
"""


def write(folder: Path, **files: str) -> Path:
    for stem, text in files.items():
        (folder / f"{stem}.py").write_text(text, encoding="utf-8")
    return folder


def test_built_in_strategies_need_no_folder(tmp_path: Path) -> None:
    assert load_strategies().strategies == {"BuyTheDip": BuyTheDip}
    assert load_strategies(tmp_path / "none").errors == ()


def test_a_users_strategy_is_found(tmp_path: Path) -> None:
    loaded = load_strategies(write(tmp_path, mine=GOOD.format(name="Mine"), _helper="1/0"))
    assert sorted(loaded.strategies) == ["BuyTheDip", "Mine"]
    assert loaded.errors == ()


def test_names_do_not_collide(tmp_path: Path) -> None:
    files = {"a": GOOD.format(name="Mine"), "b": GOOD.format(name="Mine"), "c": GOOD.format(name="BuyTheDip")}
    loaded = load_strategies(write(tmp_path, **files))
    assert loaded.strategies["BuyTheDip"] is BuyTheDip
    assert loaded.strategies["Mine"].__module__.endswith(".a")
    assert [error.partition(":")[0] for error in loaded.errors] == ["b.py", "c.py"]


def test_a_broken_file_is_named_and_keeps_no_other_out(tmp_path: Path) -> None:
    files = {
        "a": "1/0",
        "b": "def (",
        "c": "x = 1",
        "d": GOOD.format(name="Mine").replace("int = 5", "float = 5.0"),
        "e": GOOD.format(name="Fine"),
    }
    loaded = load_strategies(write(tmp_path, **files))
    assert sorted(loaded.strategies) == ["BuyTheDip", "Fine"]
    assert [error[:4] for error in loaded.errors] == ["a.py", "b.py", "c.py", "d.py"]
    assert "ZeroDivisionError" in loaded.errors[0]
    assert "a.py:1" in loaded.errors[0]
    assert "SyntaxError" in loaded.errors[1]
    assert "no subclass of Strategy" in loaded.errors[2]
    assert "float" in loaded.errors[3]
    assert str(tmp_path) not in "".join(loaded.errors)


def test_only_the_named_files_are_read_and_each_is_told_with_its_hash(tmp_path: Path) -> None:
    folder = write(tmp_path, a=GOOD.format(name="Mine"), b="1/0", _helper="x = 1")
    both = load_strategies(folder)
    assert sorted(both.files) == ["a.py", "b.py"]
    assert both.files["b.py"] == hashlib.sha256(b"1/0").hexdigest()
    one = load_strategies(folder, {"a.py": both.files["a.py"], "gone.py": ""})
    assert (sorted(one.files), one.errors) == (["a.py"], ())
    assert load_strategies(folder, {}).files == {}
