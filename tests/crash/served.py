"""A real engine behind its socket, killed with SIGKILL at a named point of the first order's path.

``python -m tests.crash.served HOME POINT`` prints ``ready`` when it serves; points are those of :mod:`tests.crash.child`.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from bolt_tui.host import serve, signals
from bolt_tui.settings import Home, Settings
from bolt_tui.wiring import build_live
from tests.crash.child import Killer, arm


async def main(home: Path, point: str) -> None:
    live = build_live(Home(home), Settings())
    arm(live, Killer(point))
    with signals(live, detached=False):
        await serve(live, Home(home), lambda: print("ready", flush=True))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
