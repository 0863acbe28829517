"""Unit files for a box that runs for weeks: systemd and launchd. They are printed, never installed."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.sax.saxutils import escape

KINDS = ("systemd", "launchd")
LABEL = "io.bolt.engine"
NO_RESTART = (2, 6)
"""Exit codes behind which a restart changes nothing: a setting or file that cannot be used, a ledger that cannot be opened."""


def unit(kind: str, home: Path, strategies: tuple[str, ...] = (), program: Path | None = None) -> str:
    """The text of a unit.

    Args:
        kind: one of :data:`KINDS`.
        home: the state folder.
        strategies: started with the engine.
        program: the `bolt` to run; that of this Python where it is None.
    """
    found = program or Path(sys.executable).parent / "bolt"
    words = [str(found), "headless", *(word for name in strategies for word in ("--strategy", name))]
    return _systemd(home, words) if kind == "systemd" else _launchd(home, words)


def _systemd(home: Path, words: list[str]) -> str:
    command = " ".join(_quoted(word) for word in words)
    return f"""\
# ~/.config/systemd/user/bolt.service; then: systemctl --user daemon-reload && systemctl --user enable --now bolt
# `loginctl enable-linger $USER` keeps it running while you are logged out.
[Unit]
Description=Bolt trading engine ({_percent(home)})
After=network-online.target time-sync.target
Wants=network-online.target
StartLimitIntervalSec=600
StartLimitBurst=5

[Service]
Type=exec
Environment={_quoted(f"BOLT_HOME={home}")}
ExecStart={command}
# SIGTERM ends it cleanly and leaves orders at the venue; SIGUSR1 halts trading: systemctl --user kill -s USR1 bolt
KillSignal=SIGTERM
KillMode=process
TimeoutStopSec=60
# After a crash the gate stays shut until a clean comparison with the broker; a halt stays a halt.
Restart=on-failure
RestartSec=5
RestartPreventExitStatus={" ".join(str(code) for code in NO_RESTART)}
StandardOutput=null
StandardError=journal
UMask=0077
NoNewPrivileges=yes
LockPersonality=yes
LimitNOFILE=4096

[Install]
WantedBy=default.target
"""


def _launchd(home: Path, words: list[str]) -> str:
    arguments = "\n".join(f"    <string>{escape(word)}</string>" for word in words)
    log = escape(str(home / "logs" / "service.log"))
    return f"""\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- ~/Library/LaunchAgents/{LABEL}.plist; then: launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/{LABEL}.plist -->
<plist version="1.0">
<dict>
  <key>Label</key>
  <string>{LABEL}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}
  </array>
  <key>EnvironmentVariables</key>
  <dict>
    <key>BOLT_HOME</key>
    <string>{escape(str(home))}</string>
  </dict>
  <key>RunAtLoad</key>
  <true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key>
    <false/>
  </dict>
  <key>ThrottleInterval</key>
  <integer>10</integer>
  <key>ExitTimeOut</key>
  <integer>60</integer>
  <key>StandardOutPath</key>
  <string>/dev/null</string>
  <key>StandardErrorPath</key>
  <string>{log}</string>
  <key>Umask</key>
  <integer>63</integer>
</dict>
</plist>
"""


def _percent(value: Path) -> str:
    """Systemd reads % as the start of a specifier."""
    return str(value).replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as systemd reads it: % doubled, and in quotes where it has anything but plain characters."""
    found = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    is_plain = all(char.isalnum() or char in "/._-=+:@" for char in found)
    return found if is_plain else f'"{found}"'
