"""Digests of source code: what tells that a stage's rules changed since it made its data set.

Only what can change a result counts: comments, docstrings and layout do not.
"""

import ast
import functools
import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.core.cache import Entry, digest, program_cache

ROOT = Path(__file__).parents[2]
PACKAGES = ("pipeline", "schemas")

NEUTRAL = ("pipeline.core", "pipeline.settings")
"""Packages that carry a computation without deciding its result. The values of settings are part
of every fingerprint, so the code that reads them is here as well."""


def code_digests(modules: Iterable[str]) -> dict[str, str]:
    """Return a 12-digit digest of each module and of those of ours that it imports, by dotted name.

    :data:`NEUTRAL` modules and what only they, or type checkers, import are left out.
    """
    digests: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in digests or name.startswith(NEUTRAL):
            continue
        digests[name], imports = _module(name)
        waiting += imports
    return dict(sorted(digests.items()))


LOOKED = "looked"  # folder of a home: what was found in its data sets, ids and counts


def remembered(
    root: Path, module: str, key: Mapping[str, Any], make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return what a module makes of a key, as JSON has it; made anew where its code changed."""
    entry = Entry(root, {"module": module, "code": digest(code_digests([module])), **key})
    if (known := entry.get()) is None:
        known = make()
        with suppress(OSError):  # a full disk, or one that is only read
            entry.put(known, durable=False)
    found: dict[str, Any] = known
    return found


@functools.cache
def program_digest() -> str:
    """Return the digest of all source files: whether two machines have the same program."""
    found = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted(
            p for p in (ROOT / package).rglob("*.*") if p.suffix in (".py", ".toml")
        ):
            found.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def function_digest(module: str, name: str) -> str:
    """Return the 12-digit digest of one function at the top of a module."""
    body = ast.parse(_read(module)).body
    found = [node for node in body if isinstance(node, ast.FunctionDef) and node.name == name]
    return _digest(found)


@functools.cache
def _module(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the digest of a module with the data beside it, and the modules that it imports.

    It is kept beside the compiled modules: a run asks for two hundred of them, at 10 ms each.
    """
    source, data = _read(name), ROOT.joinpath(*name.split(".")).with_suffix(".toml")
    text = data.read_text("utf-8") if data.is_file() else ""
    rules = hashlib.sha256(Path(__file__).read_bytes() + _names(ROOT)).hexdigest()
    found = hashlib.sha256(source + text.encode()).hexdigest()
    entry = Entry(program_cache(), {"module": found, "rules": rules})
    if (known := entry.get()) is None:
        tree = ast.parse(source)
        imports = {package for one in _imports(tree) for package in _with_parents(one)}
        known = _digest([tree, text] if text else tree), sorted(imports)
        with suppress(OSError):  # a full disk, or one that is only read
            entry.put(known, durable=False)
    return known[0], tuple(known[1])


@functools.cache
def _names(root: Path) -> bytes:
    """Return the names of all modules, which tell whether an imported name is a module."""
    paths = (path for package in PACKAGES for path in (root / package).rglob("*.py"))
    return "\n".join(sorted(path.relative_to(root).as_posix() for path in paths)).encode()


def _read(name: str) -> bytes:
    path = _source(name)
    assert path is not None, name
    return path.read_bytes()


def _digest(nodes: object) -> str:
    return hashlib.sha256(repr(_shape(nodes)).encode()).hexdigest()[:12]


def _source(name: str) -> Path | None:
    path = ROOT.joinpath(*name.split("."))
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((one for one in candidates if one.is_file()), None)


def _shape(node: object) -> Any:
    """Return a syntax tree as nested lists that are the same in every version of Python."""
    if isinstance(node, list):
        return [_shape(item) for item in node if _counts(item)]
    if not isinstance(node, ast.AST):
        return node
    fields = [
        (name, _shape(value))
        for name, value in ast.iter_fields(node)
        if name != "ctx" and value is not None and value != []
    ]
    return [type(node).__name__, *fields]


def _counts(node: object) -> bool:
    """Whether a statement is neither a docstring, of whatever it stands behind, nor for mypy."""
    match node:
        case ast.Expr(ast.Constant(str())) | ast.If(ast.Name("TYPE_CHECKING")):
            return False
    return True


def _imports(tree: ast.AST) -> set[str]:
    """Return the modules of ours that a tree imports anywhere, also inside functions."""
    names: set[str] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {node.module} | {name for name in inner if _source(name)}
        elif _counts(node):
            waiting += ast.iter_child_nodes(node)
    return {name for name in names if name.split(".")[0] in PACKAGES and _source(name)}


def _with_parents(name: str) -> list[str]:
    """Return a module and the packages around it that have code of their own to run."""
    parts = name.split(".")
    around = (".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return [one for one in around if _source(one)]
