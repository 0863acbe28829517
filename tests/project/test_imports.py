"""What a fresh interpreter really loads: import contracts see the graph, this sees the fact."""

import json
import subprocess
import sys

import pytest

SCREEN = ("textual", "rich")
SDKS = ("ccxt", "kiteconnect", "ib_insync", "twisted", "eventkit")
FRAMES = ("pandas", "exchange_calendars")
ORM = ("sqlmodel", "sqlalchemy")

LEAN = {
    "engine": SCREEN + SDKS + FRAMES + ORM,
    "engine.api": SCREEN + SDKS + FRAMES + ORM,
    "brokers": SCREEN + SDKS + FRAMES,
    "brokers.paperbroker": SCREEN + SDKS + FRAMES,
    "bolt_tui.resources": SCREEN + SDKS + FRAMES + ORM,
    "bolt_tui.cli": ("textual", *SDKS, *FRAMES, *ORM),
    "bolt_tui.headless": ("textual", *SDKS, *FRAMES, *ORM),
    "bolt_tui.app": SDKS + FRAMES + ORM,
    "bolt_tui.wiring": SCREEN + SDKS + FRAMES + ORM,
    "widgets": SDKS + FRAMES + ORM,
}


@pytest.mark.parametrize("module", LEAN)
def test_a_fresh_interpreter_loads_nothing_heavy(module: str) -> None:
    """If this fails, start-up got slow or the engine has learnt about a screen or a broker."""
    code = f"import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    heavy = sorted(loaded.intersection(LEAN[module]))
    assert not heavy, (
        f"importing {module} loads {', '.join(heavy)}; import it inside the function that needs it, "
        f"or find who does with: python -X importtime -c 'import {module}'"
    )
