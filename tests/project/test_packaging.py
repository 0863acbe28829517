"""What is shipped: the wheel holds the four packages and the data files, and a damaged installation is noticed."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from bolt_tui import resources

ROOT = Path(__file__).resolve().parents[2]


def build(target: str, into: Path) -> Path:
    """Build a wheel or an sdist without a network."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(into)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (made,) = into.iterdir()
    return made


def shipped_files() -> set[str]:
    """Every module of the four packages, as it must appear in the wheel."""
    return {
        path.relative_to(ROOT).as_posix()
        for package in resources.PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_module_and_the_data(tmp_path: Path) -> None:
    with zipfile.ZipFile(build("wheel", tmp_path)) as wheel:
        names = set(wheel.namelist())
    themes = {f"bolt_tui/_data/themes/{path.name}" for path in (ROOT / "themes").iterdir()}
    wanted = shipped_files() | themes | {"bolt_tui/_data/policy.yaml"} | {f"{p}/py.typed" for p in resources.PACKAGES}
    assert not wanted - names
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == set(resources.PACKAGES), "the wheel installs something else at the top level"


def test_the_sdist_can_build_the_wheel(tmp_path: Path) -> None:
    """A distribution's builder starts from the sdist: whatever the wheel needs must be in it."""
    with tarfile.open(build("sdist", tmp_path)) as sdist:
        names = {name.split("/", 1)[1] for name in sdist.getnames() if "/" in name}
    wanted = shipped_files() | {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "Makefile", "policy.yaml"}
    assert not wanted - names
    assert any(name.startswith("themes/") for name in names)


def test_data_files_are_found_beside_the_packages() -> None:
    assert resources.data_file("policy.yaml").is_file()
    assert "dark" in resources.theme_files()


def test_data_files_inside_the_wheel_come_first(tmp_path: Path) -> None:
    package = tmp_path / "bolt_tui"
    (package / "_data").mkdir(parents=True)
    for place in (package / "_data", tmp_path):
        (place / "policy.yaml").write_text("limits: {}\n", encoding="utf-8")
    assert resources.data_file("policy.yaml", package=package) == package / "_data" / "policy.yaml"


def test_a_missing_data_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(resources.InstallationError, match=r"policy\.yaml is missing; looked for .*_data"):
        resources.data_file("policy.yaml", package=tmp_path / "bolt_tui")


def test_our_own_packages_lie_side_by_side() -> None:
    resources.check_packages()


def test_a_package_from_elsewhere_is_refused(tmp_path: Path) -> None:
    with pytest.raises(resources.InstallationError, match="Another package with the same name"):
        resources.check_packages(package=tmp_path / "bolt_tui")


@pytest.mark.parametrize("damage", ["overwritten", "removed"])
def test_a_package_damaged_by_another_wheel_is_refused(tmp_path: Path, damage: str) -> None:
    """Installers overwrite plain names silently, and removing the other package takes our files with it."""
    for name in resources.PACKAGES:
        (tmp_path / name).mkdir()
        for part in ("__init__.py", "resources.py"):
            source = ROOT / name / part
            if source.exists():
                (tmp_path / name / part).write_bytes(source.read_bytes())
    victim = tmp_path / "engine" / "__init__.py"
    if damage == "overwritten":
        victim.write_text('"""A game engine."""\n', encoding="utf-8")
    else:
        victim.unlink()
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import bolt_tui.resources as r; r.check_packages()"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "InstallationError: the package 'engine'" in done.stderr
    assert "environment of its own" in done.stderr
