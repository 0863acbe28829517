"""A client that sends one order and is killed with SIGKILL before it can read the answer.

``python -m tests.crash.asker SOCKET INTENT WORDS``
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from bolt_tui.client import EngineClient
from bolt_tui.commands.orders import grammar_context
from bolt_tui.frames import Frame, Request
from engine.domain.commands import NewOrder
from engine.domain.order import Source, SourceKind
from engine.intake.drafts import GrammarError
from engine.intake.grammar import parse_order


class Dying(EngineClient):
    """Dies when its request has left."""

    def _send(self, frame: Frame, until: int) -> None:
        super()._send(frame, until)
        if isinstance(frame, Request):
            os.kill(os.getpid(), signal.SIGKILL)


def main(socket: Path, intent: str, words: str) -> None:
    with Dying(socket) as client:
        draft = parse_order(words, grammar_context(client.view()))
        assert not isinstance(draft, GrammarError), draft
        client.submit(
            NewOrder(source=Source(SourceKind.CLI, "crash"), intent_id=intent, spec=draft.spec, why="", words=words)
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
