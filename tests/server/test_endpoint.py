"""Where the socket is, when the state folder's path is longer than the system allows for one."""

from pathlib import Path

import pytest

from bolt_tui.client import EngineClient
from bolt_tui.endpoint import PATH_BYTES_MAX, claim_socket, find_socket
from bolt_tui.settings import Environment, Home, open_home
from engine.domain.errors import SettingsError
from tests.server.fakes import serving


def deep_home(tmp_path: Path) -> Home:
    return open_home(tmp_path / ("d" * 60) / ("e" * 60))


def test_a_short_path_is_used_as_it_is(tmp_path: Path) -> None:
    home = Home(root=Path("/h"))
    assert find_socket(home) == Path("/h/engine.sock")
    assert claim_socket(open_home(tmp_path / "h")).name == "engine.sock"


def test_a_long_path_falls_back_to_a_short_private_one_that_is_recorded(tmp_path: Path) -> None:
    home = deep_home(tmp_path)
    place = claim_socket(home, Environment())
    try:
        assert len(str(place)) <= PATH_BYTES_MAX < len(str(home.socket))
        assert place.parent.stat().st_mode & 0o777 == 0o700
        assert home.socket_record.stat().st_mode & 0o777 == 0o600
        assert find_socket(home) == place
        assert claim_socket(home, Environment()) == place, "the next engine uses the same place"
        with serving(place), EngineClient(find_socket(home)) as client:
            client.view()
    finally:
        place.parent.rmdir()


def test_a_recorded_place_that_others_may_enter_is_not_trusted(tmp_path: Path) -> None:
    """Otherwise somebody else's process could answer as the engine."""
    home = deep_home(tmp_path)
    open_to_all = tmp_path / "shared"
    open_to_all.mkdir(mode=0o755)
    home.socket_record.write_text(f"{open_to_all / 'engine.sock'}\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="is not trusted"):
        find_socket(home)
    place = claim_socket(home, Environment())
    assert place.parent != open_to_all
    place.parent.rmdir()


def test_no_engine_yet_means_the_usual_place(tmp_path: Path) -> None:
    home = deep_home(tmp_path)
    assert find_socket(home) == home.socket
