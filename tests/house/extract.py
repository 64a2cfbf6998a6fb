"""Finds every text that the hub may show to a person, and keeps the catalogs complete.

`python tests/house/extract.py` adds what is new to each .po file with an empty translation and drops what is gone.

Found are: `N_()`, `_()`, `say()`, `say_many()`; messages, cures and field texts of errors, also through a local name or
a function of the same file; `Verdict`s of platforms; what a `Credential` or a setting means; `_()` and `trans` in
templates; what the command line tells, its headings and its help.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[2]
HUB = ROOT / "hub"
CATALOGS = HUB / "core" / "texts"
PLACE = re.compile(r"\{([a-z_]+)\}")

HEADER = "# What the hub says, in «{lang}». `python tests/house/extract.py` adds new texts; fill in the empty ones."

Text = str | tuple[str, str]
"""A source text, or singular and plural."""


@dataclass
class Found:
    """Source texts and the files (from the project's root) that say them."""

    texts: dict[Text, set[str]] = field(default_factory=dict)

    def add(self, text: Text, where: str) -> None:
        if text and (isinstance(text, tuple) or any(char.isalpha() for char in text)):
            self.texts.setdefault(text, set()).add(where)


def extract(root: Path = HUB) -> Found:
    """Every text below a folder."""
    found = Found()
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(root.rglob("*.py"))}
    errors = error_classes(trees.values())
    for path, tree in trees.items():
        Reader(tree, errors, str(path.relative_to(root.parent)), found).read()
    for path in sorted([*root.rglob("*.html"), *root.rglob("*.txt")]):
        if "templates" in path.parts:
            _read_template(path, str(path.relative_to(root.parent)), found)
    return found


def error_classes(trees: Iterable[ast.Module]) -> set[str]:
    """The names of HubError and of everything that derives from it, in any file."""
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    errors = {"HubError"}
    while True:
        more = {node.name for node in classes if errors & {_name(base) for base in node.bases}} - errors
        if not more:
            return errors
        errors |= more


class Reader:
    """One Python file."""

    def __init__(self, tree: ast.Module, errors: set[str], where: str, found: Found) -> None:
        self.tree, self.errors, self.where, self.found = tree, errors, where, found
        self.functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

    def read(self) -> None:
        self._visit(self.tree, (self.tree,))

    def _visit(self, node: ast.AST, scopes: tuple[ast.AST, ...]) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            scopes = (*scopes, node)
            if any(_name(_called(word)) in ("command", "group") for word in node.decorator_list):
                self.found.add(" ".join((ast.get_docstring(node) or "").split()), self.where)
        if isinstance(node, ast.Call):
            self._call(node, scopes)
        if isinstance(node, ast.ClassDef) and (node.name in self.errors):
            for line in node.body:
                if isinstance(line, ast.Assign | ast.AnnAssign) and _assigned(line) & {"message", "cure"}:
                    self._add(line.value, scopes)
        for child in ast.iter_child_nodes(node):
            self._visit(child, scopes)

    def _call(self, node: ast.Call, scopes: tuple[ast.AST, ...]) -> None:
        name = _name(node.func)
        keywords = {word.arg: word.value for word in node.keywords}
        if name in ("N_", "_", "say", "say_here", "tell"):
            self._add(node.args[0] if node.args else None, scopes)
        elif name == "_setting":
            self._add(node.args[1] if len(node.args) > 1 else None, scopes)
        elif name == "headings":
            self._add_all(node.args, scopes)
        elif name in ("option", "Option"):
            self._add_all([keywords.get("help"), *node.args[3:4]], scopes)
        elif name in ("say_many", "ngettext") and len(node.args) > 1:
            one, many = node.args[:2]
            if isinstance(one, ast.Constant) and isinstance(many, ast.Constant):
                self.found.add((str(one.value), str(many.value)), self.where)
        elif name == "Verdict":
            self._add_all([*node.args[1:3], keywords.get("message"), keywords.get("cure")], scopes)
        elif name == "Credential":
            self._add_all([*node.args[1:2], keywords.get("meaning")], scopes)
        elif name in self.errors or (name == "__init__" and _is_super(node.func)):
            self._add_all([*node.args[:1], keywords.get("message"), keywords.get("cure")], scopes)
            fields = keywords.get("fields")
            if isinstance(fields, ast.Dict):
                self._add_all(fields.values, scopes)

    def _add_all(self, values: Iterable[ast.expr | None], scopes: tuple[ast.AST, ...]) -> None:
        for value in values:
            self._add(value, scopes)

    def _add(self, value: ast.expr | None, scopes: tuple[ast.AST, ...]) -> None:
        for text in self._texts(value, scopes, 4):
            self.found.add(text, self.where)

    def _texts(self, value: ast.expr | None, scopes: tuple[ast.AST, ...], depth: int) -> Iterator[str]:
        if depth == 0 or value is None:
            return
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            yield value.value
        elif isinstance(value, ast.IfExp):
            for part in (value.body, value.orelse):
                yield from self._texts(part, scopes, depth)
        elif isinstance(value, ast.BoolOp | ast.Tuple):
            for part in value.values if isinstance(value, ast.BoolOp) else value.elts:
                yield from self._texts(part, scopes, depth)
        elif isinstance(value, ast.Name):
            for assigned in _assignments(value.id, scopes):
                yield from self._texts(assigned, scopes, depth - 1)
        elif isinstance(value, ast.Call) and _name(value.func) in self.functions:
            function = self.functions[_name(value.func)]
            for line in ast.walk(function):
                if isinstance(line, ast.Return):
                    yield from self._texts(line.value, (self.tree, function), depth - 1)


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _assignments(name: str, scopes: tuple[ast.AST, ...]) -> list[ast.expr]:
    """What is assigned to a name in the innermost scope that knows it."""
    for scope in reversed(scopes):
        lines = scope.body if isinstance(scope, ast.Module) else list(ast.walk(scope))
        found: list[ast.expr] = []
        for line in lines:
            if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None and name in _assigned(line):
                found.append(_part(line, name))
        if found:
            return found
    return []


def _part(line: ast.Assign | ast.AnnAssign, name: str) -> ast.expr:
    """The value for one name of `a, b = 1, 2`; the whole value where it cannot be told."""
    assert line.value is not None
    target = line.targets[0] if isinstance(line, ast.Assign) else line.target
    if isinstance(target, ast.Tuple) and isinstance(line.value, ast.Tuple):
        names = [part.id if isinstance(part, ast.Name) else "" for part in target.elts]
        return line.value.elts[names.index(name)]
    return line.value


def _assigned(line: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = line.targets if isinstance(line, ast.Assign) else [line.target]
    flat = [part for target in targets for part in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return {target.id for target in flat if isinstance(target, ast.Name)}


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_super(node: ast.expr) -> bool:
    """`super().__init__("text", …)`: only errors give a text first."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Call) and _name(node.value.func) == "super"


def _read_template(path: Path, where: str, found: Found) -> None:
    from jinja2.ext import babel_extract

    with path.open("rb") as file:
        for _, _, message, _ in babel_extract(file, ("_", "gettext", "ngettext", "say", "say_many"), [], {}):
            if isinstance(message, str):
                found.add(message, where)
            elif isinstance(message, tuple) and len(message) > 1 and isinstance(message[0], str):
                plural = message[1]
                found.add((message[0], plural) if isinstance(plural, str) else message[0], where)


def catalog(lang: str) -> Catalog:
    """The catalog as it is in the file; a new one if there is none."""
    path = CATALOGS / f"{lang}.po"
    if not path.exists():
        return _new_catalog(lang)
    with path.open("rb") as file:
        return read_po(file, locale=lang)


class PlainCatalog(Catalog):
    """Without dates and names, which would make every update a change."""

    KEPT = ("Project-Id-Version", "Language", "Plural-Forms", "MIME-Version", "Content-Type", "Content-Transfer-Encoding")

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in super().mime_headers if name in self.KEPT]


def _new_catalog(lang: str) -> Catalog:
    return PlainCatalog(locale=lang, project="hub", version="1", header_comment=HEADER.format(lang=lang), fuzzy=False)


def problems(lang: str, found: Found) -> list[str]:
    """What a catalog lacks, has too much, or says with other places than the source."""
    lines: list[str] = []
    have = catalog(lang)
    for text in found.texts:
        message = have.get(text[0] if isinstance(text, tuple) else text)
        forms = [] if message is None else [message.string] if isinstance(message.string, str) else list(message.string)
        if not forms or not all(forms) or (message is not None and message.fuzzy):
            lines.append(f"no translation: {text!r}")
            continue
        places = set(PLACE.findall(text if isinstance(text, str) else text[1]))
        lines += [f"other places: {text!r} → {form!r}" for form in forms if set(PLACE.findall(form)) != places]
    return lines


def update(lang: str, found: Found) -> int:
    """Write the catalog with every text found, new ones empty; how many are empty."""
    old, new = catalog(lang), _new_catalog(lang)
    empty = 0
    for text, where in sorted(found.texts.items(), key=lambda item: (sorted(item[1]), str(item[0]))):
        known = old.get(text[0] if isinstance(text, tuple) else text)
        string = known.string if known is not None else ""
        empty += not string
        new.add(text, string or None, locations=[(name, 0) for name in sorted(where)])
    with (CATALOGS / f"{lang}.po").open("wb") as file:
        write_po(file, new, width=128, include_lineno=False)
    return empty


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from hub.core.texts import LANGUAGES

    found = extract()
    for lang in LANGUAGES[1:]:
        print(f"{lang}: {len(found.texts)} texts, {update(lang, found)} without a translation")


if __name__ == "__main__":
    main()
