"""A long replay says how far it is."""

from pathlib import Path

from bolt_tui.replay_run import ROWS_BETWEEN_WORDS
from tests.replay.tape import quotes, replay


def test_it_names_its_file_and_counts_its_rows(tmp_path: Path) -> None:
    rows = quotes("2024-03-04T15:00:00Z", "2024-03-04T16:30:00Z", mic="XNYS", every_s=1)
    heard: list[str] = []
    replay(tmp_path, rows, "b 1 ABC @10.00", terms="tick=0.01,mic=XNYS", tell=heard.append)
    assert heard == ["reading abc.csv ...", f"{ROWS_BETWEEN_WORDS} of {len(rows)} rows, 2024-03-04T16:08:15.000000000Z"]
