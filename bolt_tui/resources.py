"""Find the data files that ship with Bolt, and notice when another package has damaged the installation.

A wheel carries `policy.yaml` and `themes/` inside `bolt_tui/_data`; an editable install leaves them beside the packages.
Nothing else may guess a path: a wrong guess would let Bolt run under limits nobody wrote.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("bolt_tui", "widgets", "engine", "brokers")

_MARK = "# bolt-tui:"  # a comment in each package's __init__.py
_HERE = Path(__file__).resolve().parent


class InstallationError(RuntimeError):
    """The installation is incomplete or mixed with another package; the text says what to do."""


def data_file(name: str, *, package: Path = _HERE) -> Path:
    """Return the path of a shipped file or folder, such as `policy.yaml`, `themes` or `themes/dark.yaml`."""
    places = (package / "_data" / name, package.parent / name)
    for place in places:
        if place.exists():
            return place
    looked = " and ".join(str(place) for place in places)
    raise InstallationError(f"the shipped file {name} is missing; looked for {looked}. Install bolt-tui again.")


@cache
def version() -> str:
    """Return the version of the installed distribution; ``0`` where the packages run without being installed.

    Looked up once: it takes 8 ms, and an engine tells it to every client that connects.
    """
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("bolt-tui")
    except PackageNotFoundError:
        return "0"


def theme_files(*, package: Path = _HERE) -> dict[str, Path]:
    """Return the shipped themes by name, in a fixed order."""
    return {path.stem: path for path in sorted(data_file("themes", package=package).glob("*.yaml"))}


def check_packages(*, package: Path = _HERE) -> None:
    """Refuse to start unless the four packages lie side by side.

    Their names are plain words, and an installer overwrites silently: another wheel with an `engine` would replace ours.
    """
    home = package.parent
    for name in PACKAGES:
        found = _location(name)
        if found != home / name:
            where = "is missing" if found is None else f"was found at {found}"
            raise InstallationError(
                f"the package {name!r} of Bolt {where}, but belongs at {home / name}. Another package with the same name "
                f"is in the way. Install bolt-tui in an environment of its own (uv tool install, pipx)."
            )
        if _MARK not in (found / "__init__.py").read_text(encoding="utf-8"):
            raise InstallationError(
                f"the package {name!r} at {found} is not Bolt's any more: another package has "
                f"overwritten it. Install bolt-tui in an environment of its own (uv tool install, pipx)."
            )


def _location(name: str) -> Path | None:
    """Return where Python would load a top-level package from, without running it when it is not loaded yet."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).resolve().parent
