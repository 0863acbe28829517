"""How a person names a ledger, and that the password in a URL is never shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bolt_tui.settings import open_home, parse_settings
from engine.domain.errors import SettingsError
from engine.store.place import ServerPlace, read_place

ROOT = Path(__file__).parents[2]
SECRET = "pa:ss%2Fw0rd"
URLS = [
    f"postgresql://bolt:{SECRET}@db.example:5433/ledger",
    f"postgres://bolt:{SECRET}@/ledger?host=/run/pg",
    f"postgresql+psycopg://bolt:{SECRET}@db.example/ledger?sslmode=require",
    f"postgresql://bolt@db.example/ledger?sslmode=require&password={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_a_place_is_shown_without_its_password(url: str, tmp_path: Path) -> None:
    place = read_place(url, tmp_path)
    assert isinstance(place, ServerPlace)
    assert SECRET in place.url
    assert place.url.startswith("postgresql://")
    for shown in (str(place), repr(place), f"{place}", str(place.head_file)):
        assert "w0rd" not in shown
    assert place.scrub(f'no: "{SECRET}" nor pa:ss/w0rd') == 'no: "***" nor ***'


def test_the_note_does_not_move_with_user_or_password(tmp_path: Path) -> None:
    notes = {
        ServerPlace(f"postgresql://{login}db.example/ledger", tmp_path).head_file
        for login in ("", "a@", "b@", "b:c@", "b:d@")
    }
    assert len(notes) == 1
    assert ServerPlace("postgresql://db.example/other", tmp_path).head_file not in notes


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://bolt:{SECRET}@db.example",
        f"postgresql://bolt:{SECRET}@db.example:port/ledger",
        f"mysql://bolt:{SECRET}@db.example/ledger",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"expected .*postgresql://USER@HOST:PORT/DATABASE") as refused:
        read_place(url, tmp_path)
    assert "w0rd" not in str(refused.value)


def test_anything_else_is_a_path(tmp_path: Path) -> None:
    assert read_place("some/ledger.db", tmp_path) == Path("some/ledger.db")


# -- the settings ------------------------------------------------------------------------------------------------------


def test_the_variable_goes_before_the_settings_and_both_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = open_home(tmp_path / "bolt")
    monkeypatch.delenv("BOLT_LEDGER", raising=False)
    assert home.place == home.ledger
    home.settings.write_text("ledger:\n  url: postgresql://db.example/settings\n")
    assert str(home.place) == "postgresql://db.example/settings"
    monkeypatch.setenv("BOLT_LEDGER", "postgresql://db.example/variable")
    assert str(home.place) == "postgresql://db.example/variable"
    monkeypatch.setenv("BOLT_LEDGER", f"bolt:{SECRET}@db.example")
    with pytest.raises(SettingsError, match="BOLT_LEDGER is no URL of a server") as refused:
        _ = home.place
    assert SECRET not in str(refused.value)


def test_a_setting_that_is_no_url_is_refused_and_its_url_is_never_shown() -> None:
    with pytest.raises(SettingsError, match=r"ledger\.url is no URL of a server"):
        parse_settings("ledger:\n  url: ledger.db\n")
    assert SECRET not in repr(parse_settings(f"ledger:\n  url: {URLS[0]}\n"))


def test_without_the_extra_the_error_names_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from bolt_tui.cli import main; sys.exit(main(['ledger', 'show', '--ledger', 'postgresql://db.example/ledger']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "needs the extra 'pg'" in done.stderr
    assert "pip install 'bolt-tui[pg]'" in done.stderr
