"""One engine's process, as who forked it sees it."""

from __future__ import annotations

import gc
import os
import socket
import sys
import traceback
from pathlib import Path

from bolt_tui.faults import pipe
from bolt_tui.faults.life import live
from bolt_tui.faults.schedule import Crash
from bolt_tui.faults.scratch import be_ended_by_others
from engine.domain.errors import StoreUnwritable
from engine.risk.policy import PolicyHolder

NO_ROOM = 75
"""Exit code of an engine whose ledger takes no writes: nobody here breaks a disk, so it is the laboratory's trouble and no finding."""


class Process:
    """A forked engine. It ends when its line closes, when a point of it is met, or when it is told to."""

    def __init__(
        self, folder: Path, policy: PolicyHolder, crash: Crash | None, now_ns: int, lag: int, number: int
    ) -> None:
        ours, theirs = socket.socketpair()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                be_ended_by_others()
                gc.disable()  # a life is short, and looking for cycles copies every page of the parent
                ours.close()
                live(pipe.Pipe(theirs), folder, policy, crash, now_ns, lag, number)
                code = 0
            except StoreUnwritable as error:
                print(f"bolt: {error}", file=sys.stderr)
                code = NO_ROOM
            except BaseException:  # loop edge: the process is the engine's own; its end is judged by who forked it
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        theirs.close()
        self.pipe = pipe.Pipe(ours)
        self.next_ns = 0
        """When it has something to do by itself."""

    def reap(self) -> int:
        """Let go of it and wait for its end: the signal that ended it, 0 for a good end, or minus its exit code."""
        self.pipe.close()
        _, status = os.waitpid(self.pid, 0)
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
