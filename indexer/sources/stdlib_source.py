"""Docstrings of the standard library's Python sources, which are parsed and never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal, NamedTuple

from indexer.sources.stdlib_pages import PAGES

Kind = Literal["module", "class", "function", "method"]
Function = ast.FunctionDef | ast.AsyncFunctionDef
Definition = Function | ast.ClassDef

_FILES: Final = {"os.path": "posixpath"}  # public names of modules with another file
_PROMOTED: Final = {  # submodules whose names a package loads only on access
    "concurrent.futures": ("concurrent.futures.process", "concurrent.futures.thread"),
}


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring under its public name.

    Attributes:
        name: qualified name, ``shutil.copy2``.
        module: the public module, ``shutil``.
        signature: the call, empty for modules.
        defined_in: the module whose source contains it.
    """

    name: str
    module: str
    kind: Kind
    signature: str
    text: str
    defined_in: str


class _Export(NamedTuple):
    """A definition and the module whose source contains it."""

    defined_in: str
    node: Definition


class Library:
    """The sources under one folder, by module name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trees = cache(self._parse)
        self._exports = cache(self._find_exports)
        self._open: set[str] = set()  # modules whose exports are being found: import cycles end here

    def docstrings(self, modules: Sequence[str]) -> Iterator[Docstring]:
        """Docstrings of public modules; packages before their submodules claim what they re-export."""
        claimed: set[tuple[str, str]] = set()
        for module in sorted(modules, key=lambda name: (name.count("."), name)):
            tree = self._trees(_FILES.get(module, module))
            if tree is None:
                continue
            if text := ast.get_docstring(tree):
                yield Docstring(module, module, "module", "", text, module)
            for name, export in sorted(self._exports(_FILES.get(module, module)).items()):
                key = (export.defined_in, export.node.name)
                if key not in claimed and not name.startswith("_"):
                    claimed.add(key)
                    node = self._with_private_bases(export)
                    yield from _describe(node, f"{module}.{name}", module, export.defined_in)

    def _parse(self, module: str) -> ast.Module | None:
        base = self._root.joinpath(*module.split("."))
        path = next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)
        if path is None:
            return None
        tree = ast.parse(path.read_bytes())
        _prune(tree.body)
        for name, owner, part in _borrowed_docstrings(tree.body):
            source = self._trees(owner) if owner else tree
            if source is not None:
                _lend(tree.body, name, source.body, part)
        return tree

    def _find_exports(self, module: str) -> dict[str, _Export]:
        """Public definitions of a module: its own and those that it imports from its private parts."""
        tree = self._trees(module)
        if tree is None or module in self._open:
            return {}
        self._open.add(module)
        found: dict[str, _Export] = {}
        for node in _statements(tree.body):
            if isinstance(node, Definition):
                found.setdefault(node.name, _Export(module, node))
            elif isinstance(node, ast.ImportFrom):
                for name, export in self._imported(module, tree, node).items():
                    found.setdefault(name, export)
        for name, original in _aliases(tree.body).items():
            if original in found and original not in _declared_names(tree):
                found.setdefault(name, found[original])
        for part in _PROMOTED.get(module, ()):
            found |= self._exports(part)
        self._open.remove(module)
        public = _declared_names(tree)
        return {name: export for name, export in found.items() if not public or name in public}

    def _imported(self, module: str, tree: ast.Module, node: ast.ImportFrom) -> dict[str, _Export]:
        target = self._target(module, node)
        if not _is_part_of(module, target):
            return {}
        exports = self._exports(target)
        if node.names[0].name == "*":
            return {name: export for name, export in exports.items() if not name.startswith("_")}
        foreign = target.partition(".")[0] != module.partition(".")[0]  # then only names in the module's __all__
        declared = _declared_names(tree) if foreign else exports.keys()
        names = ((item.asname or item.name, item.name) for item in node.names)
        return {public: exports[name] for public, name in names if name in exports and public in declared}

    def _with_private_bases(self, export: _Export) -> Definition:
        """A class with the members that it inherits from private classes of its module; anything else as it is."""
        node, tree = export.node, self._trees(export.defined_in)
        if not isinstance(node, ast.ClassDef) or tree is None:
            return node
        classes = {each.name: each for each in _statements(tree.body) if isinstance(each, ast.ClassDef)}
        return _inheriting(node, classes)

    def _target(self, module: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        is_package = self._root.joinpath(*module.split("."), "__init__.py").is_file()
        parts = module.split(".")
        parent = parts[: len(parts) - node.level + is_package]
        return ".".join([*parent, node.module] if node.module else parent)


def _prune(body: Sequence[ast.stmt]) -> None:
    """Drop all of a function but a possible docstring: the rest is most of the nodes and is never used."""
    for node in _statements(body):
        if isinstance(node, Function):
            del node.body[1:]
        elif isinstance(node, ast.ClassDef):
            _prune(node.body)


def _inheriting(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> ast.ClassDef:
    """A copy of ``node`` that also has what its private bases define and it does not."""
    own = {item.name for item in _statements(node.body) if isinstance(item, Definition)}
    body = list(node.body)
    for base in node.bases:
        if isinstance(base, ast.Name) and base.id.startswith("_") and base.id in classes and base.id != node.name:
            for item in _statements(_inheriting(classes[base.id], classes).body):
                if isinstance(item, Definition) and item.name not in own and not item.name.startswith("__"):
                    own.add(item.name)
                    body.append(item)
    found = copy(node)
    found.body = body
    return found


def _aliases(body: Sequence[ast.stmt]) -> dict[str, str]:
    """Second names, ``name = other``, by name. Of several the last counts, which is that of a ``try`` that succeeds."""
    return {
        node.targets[0].id: node.value.id
        for node in _statements(body)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and isinstance(node.value, ast.Name)
    }


def _borrowed_docstrings(body: Sequence[ast.stmt]) -> Iterator[tuple[str, str, str]]:
    """From ``name.__doc__ = module.other.__doc__``: the name, the module (empty for this one) and the other name."""
    for node in _statements(body):
        match node:
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Name(id=name), attr="__doc__")],
                value=ast.Attribute(value=ast.Name(id=other), attr="__doc__"),
            ):
                yield name, "", other
            case ast.Assign(
                targets=[ast.Attribute(value=ast.Name(id=name), attr="__doc__")],
                value=ast.Attribute(value=ast.Attribute(value=ast.Name(id=module), attr=other), attr="__doc__"),
            ):
                yield name, module, other


def _lend(body: Sequence[ast.stmt], name: str, source: Sequence[ast.stmt], other: str) -> None:
    """Give the definition ``name`` the docstring of ``other`` in ``source``, unless it has one."""
    definitions = {node.name: node for node in _statements(source) if isinstance(node, Definition)}
    text = ast.get_docstring(definitions[other], clean=False) if other in definitions else None
    for node in _statements(body):
        if isinstance(node, Definition) and node.name == name and text and ast.get_docstring(node) is None:
            node.body.insert(0, ast.Expr(ast.Constant(text)))


def _is_part_of(module: str, target: str) -> bool:
    """Whether ``module`` owns what it imports from ``target``: a private module, or a submodule without a page."""
    if PAGES.get(target, PAGES.get(module)) != PAGES.get(module):
        return False
    private = any(part.startswith("_") for part in target.split(".")) or target == "genericpath"
    return private or target.split(".", maxsplit=1)[0] == module.split(".", maxsplit=1)[0]


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module, including those under ``if`` and ``try``."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from _statements([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            handlers = [statement for handler in node.handlers for statement in handler.body]
            yield from _statements([*node.body, *handlers, *node.orelse])


def _declared_names(tree: ast.Module) -> set[str]:
    """The names in ``__all__``; empty if it is missing or computed."""
    names: set[str] = set()
    for node in _statements(tree.body):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(value, ast.Call) and ast.unparse(value.func) in ("__all__.extend", "__all__.append"):
            target, value = ast.Name("__all__"), value.args[0]
        if isinstance(target, ast.Name) and target.id == "__all__":
            if not isinstance(value, ast.List | ast.Tuple | ast.Constant):
                return set()
            items = value.elts if isinstance(value, ast.List | ast.Tuple) else [value]
            names |= {item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)}
    return names


def _describe(
    node: Definition, name: str, module: str, defined_in: str, *, method: bool = False
) -> Iterator[Docstring]:
    """The docstring of a definition, and for a class those of its members."""
    text = _text(node)
    is_class = isinstance(node, ast.ClassDef)
    if text:
        kind: Kind = "class" if is_class else "method" if method else "function"
        yield Docstring(name, module, kind, _signature(node, name, method=method), text, defined_in)
    if isinstance(node, ast.ClassDef):
        for item in _statements(node.body):
            if isinstance(item, Definition) and not item.name.startswith("_"):
                yield from _describe(item, f"{name}.{item.name}", module, defined_in, method=True)


def _text(node: Definition) -> str:
    """The docstring; for a class without one, that of its ``__init__``."""
    text = ast.get_docstring(node)
    if text is None and isinstance(node, ast.ClassDef):
        makers = (item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__")
        text = next((found for maker in makers if (found := ast.get_docstring(maker))), None)
    return text or ""


def _signature(node: Definition, name: str, *, method: bool) -> str:
    if isinstance(node, ast.ClassDef):
        makers = {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
        maker = makers.get("__init__") or makers.get("__new__")
        return f"class {name}({_arguments(maker, bound=True)})" if maker else f"class {name}"
    decorators = {ast.unparse(item) for item in node.decorator_list}
    if any(item.endswith("property") for item in decorators):
        return name
    arguments = _arguments(node, bound=method and "staticmethod" not in decorators)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{'async ' if isinstance(node, ast.AsyncFunctionDef) else ''}{name}({arguments}){returns}"


def _arguments(node: Function, *, bound: bool) -> str:
    """The arguments as written; without the first, ``self``, if the function is ``bound``."""
    arguments = copy(node.args)
    if bound and arguments.posonlyargs:
        arguments.posonlyargs = arguments.posonlyargs[1:]
    elif bound:
        arguments.args = arguments.args[1:]
    return ast.unparse(arguments)
