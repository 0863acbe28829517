"""Draws the pictures of the documentation: ``make screenshots``.

Runs a short session on the paper market in a folder of its own and saves the real desk as SVG.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from pathlib import Path

from bolt_tui.app import Desk
from bolt_tui.commands.halt import HaltKey
from bolt_tui.endpoint import find_socket
from bolt_tui.host import EngineThread
from bolt_tui.link import DeskLink
from bolt_tui.settings import Settings, ensure_policy, open_home
from brokers.paperbroker import stop_venue

IMAGES = Path(__file__).parent / "images"
LINES = (
    "100 AAPL @mkt",
    "2 ES @mkt",
    "0.5 BTC-USD @mkt",
    "50 MSFT @bid-5t gtc",
    "600 AAPL twap 60s",
    "900000 AAPL @mkt",
)
SCREENS = {"1": "desk", "2": "blotter", "3": "analysis", "4": "risk", "5": "log"}
"""Key and name of each screen; a page in docs/screens shows it."""
BASKET = """side,qty,symbol,price
b,10,AAPL,@bid
s,40,MSFT,@ask
b,120,SPY,@mkt
b,30000,AAPL,@mkt
"""
"""A csv file of which the last line is denied."""
TRIES = 3
SIZE = (120, 40)
FONT = re.compile(r"@font-face \{.*?\}", re.DOTALL)
"""Fonts named by address: a picture in a repository must not fetch anything."""


def typed(words: str) -> list[str]:
    """The keys of a line."""
    return ["space" if char == " " else char for char in words]


async def draw(desk: Desk, folder: Path) -> None:
    """Type some orders as a person would, and save the screen."""
    async with desk.run_test(size=SIZE) as pilot:
        await pilot.pause(2)
        for line in LINES:
            await pilot.press("b", *typed(line), "enter")
            await pilot.pause(0.6)
            if line == LINES[0]:
                save(desk, "preview.svg")
            for _ in range(TRIES):  # a quote that is old is asked for again first
                if len(desk.screen_stack) > 1:
                    await pilot.press("enter")
                    await pilot.pause(0.4)
            await pilot.press("escape", "escape")
        await pilot.press("down")
        await pilot.pause(2)
        save(desk, "desk.svg")
        for key, name in SCREENS.items():
            await pilot.press(key)
            await pilot.pause(1.5)
            save(desk, f"screen-{name}.svg")
        await pilot.press("1")
        (folder / "rebalance.csv").write_text(BASKET, encoding="utf-8")
        await pilot.press("B", *typed(str(folder / "rebalance.csv")), "enter")
        await pilot.pause(1)
        save(desk, "basket.svg")
        await pilot.press("escape", "escape")
        await pilot.press("ctrl+g")
        await pilot.pause(1)
        save(desk, "halted.svg")


def save(desk: Desk, name: str) -> None:
    """Write one picture."""
    IMAGES.mkdir(exist_ok=True)
    picture = FONT.sub("", desk.export_screenshot(title="bolt"))
    (IMAGES / name).write_text(picture, encoding="utf-8")
    print(f"docs/images/{name}")


def main() -> None:
    """Start an engine, draw, and leave nothing behind."""
    with tempfile.TemporaryDirectory(prefix="bolt-pictures-") as folder:
        home = open_home(Path(folder))
        ensure_policy(home)
        engine = EngineThread(home, Settings())
        engine.start()
        key = HaltKey(home)
        try:
            with DeskLink(lambda: find_socket(home), key.press, hz=10) as link:
                asyncio.run(draw(Desk(link, Settings(), is_ours=True), home.root))
        finally:
            key.close()
            engine.stop(cancel=True)
            stop_venue(home.root)


if __name__ == "__main__":
    main()
