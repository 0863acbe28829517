"""The tidy rules. A rule takes a module's name and text, and returns one line per fault, ready to click on."""

import ast
import re
from collections.abc import Callable, Iterator
from functools import lru_cache

Rule = Callable[[str, str], list[str]]

FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 600

CLOCK_ALLOWED = {
    "engine/domain/clock.py": "the one module that reads the machine's clocks",
    "engine/domain/ids.py": "the one module that reads the machine's randomness: a ledger's id, once",
}
"""Modules that may read a clock or randomness, each with its reason."""

CLOCK_PLANNED = ("engine/domain/clock.py", "engine/domain/ids.py")
"""Allowances for modules that may be written after the rule."""

FORBIDDEN = {
    "time": {
        "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns",
        "localtime", "gmtime", "ctime", "strftime",
    },
    "datetime.datetime": {"now", "utcnow", "today"},
    "datetime.date": {"today"},
    "os": {"urandom", "getrandom"},
    "uuid": {"uuid1", "uuid4", "uuid7"},
}  # fmt: skip
"""Calls that make a run unrepeatable; time comes from a Clock and randomness from engine.domain."""

FORBIDDEN_MODULES = {"random", "secrets", "numpy.random"}

PROMISE = "use a Clock, or engine.domain.ids"


@lru_cache(maxsize=1)
def parsed(text: str) -> ast.Module:
    """The tree of a module; the next rule asks for the same one."""
    return ast.parse(text)


def long_functions(name: str, text: str) -> list[str]:
    """Find functions that do not fit on a screen."""
    found = []
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                found.append(f"{name}:{node.lineno}: {node.name} has {lines} lines, the limit is {FUNCTION_LINES_MAX}")
    return found


def long_modules(name: str, text: str) -> list[str]:
    """Find modules that have stopped being one noun."""
    lines = len(text.splitlines())
    return [f"{name}: {lines} lines, the limit is {MODULE_LINES_MAX}"] if lines > MODULE_LINES_MAX else []


def direct_clocks(name: str, text: str) -> list[str]:
    """Find reads of the machine's clock or randomness outside the modules made for it."""
    if name in CLOCK_ALLOWED:
        return []
    tree = parsed(text)
    names: dict[str, str] = {}
    found = []
    for statement, bound, full in _imports(tree):
        names[bound] = full
        if _is_forbidden(full):
            found.append(f"{name}:{statement.lineno}: imports {full}; {PROMISE}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            full = _resolve(node, names)
            if _is_forbidden(full):
                found.append(f"{name}:{node.lineno}: reads {full}; {PROMISE}")
    return found


def broad_excepts(name: str, text: str) -> list[str]:
    """Find catches of everything that do not say why they stand at a loop's edge."""
    lines = text.splitlines()
    found = []
    for node in ast.walk(parsed(text)):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or _is_broad(node.type)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            broad = called == "suppress" and any(_is_broad(argument) for argument in node.args)
        else:
            continue
        if broad and "# loop edge:" not in lines[node.lineno - 1]:
            found.append(f"{name}:{node.lineno}: a broad catch; catch the narrow thing, or say `# loop edge: why`")
    return found


def bare_ignores(name: str, text: str) -> list[str]:
    """Find type checks that are switched off without saying which."""
    return [
        f"{name}:{number}: name the code that is ignored"
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(r"#\s*type:\s*ignore(?!\[)", line)
    ]


def machine_paths(name: str, text: str) -> list[str]:
    """Find absolute paths that exist on one machine only."""
    pattern = re.compile(r"(?<![\w./~-])/(?:work|root|home/\w+|Users/\w+)/")
    return [
        f"{name}:{number}: a path of one machine: {line.strip()[:80]}"
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


SOURCE_RULES: tuple[Rule, ...] = (long_functions, long_modules, direct_clocks, broad_excepts)


def _imports(tree: ast.AST) -> Iterator[tuple[ast.Import | ast.ImportFrom, str, str]]:
    """Yield each import as its statement, the name it binds and the full name behind it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                yield node, bound, alias.name if alias.asname else bound
                if not alias.asname and "." in alias.name:
                    yield node, alias.name, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield node, alias.asname or alias.name, f"{node.module}.{alias.name}"


def _resolve(node: ast.expr, names: dict[str, str]) -> str:
    """Return the full dotted name of an attribute of something imported, or nothing."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        owner = _resolve(node.value, names)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def _is_forbidden(full: str) -> bool:
    if any(full == module or full.startswith(module + ".") for module in FORBIDDEN_MODULES):
        return True
    owner, _, last = full.rpartition(".")
    return last in FORBIDDEN.get(owner, ())


def _is_broad(caught: ast.expr) -> bool:
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(element) for element in caught.elts)
    return isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"}
