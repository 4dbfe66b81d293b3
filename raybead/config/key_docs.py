"""The words beside a section's keys, and what its checks refuse, from the source of both."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import cache
from types import ModuleType
from typing import Any

from raybead.config.section import Section

_FEWEST_WORDS = 4
"""Of a refusal: with fewer there is more left out than said."""


def key_docs(section: type[Section]) -> dict[str, str]:
    """By key: the text below it in the source, its ``Field``'s description, or those of the
    section that it is inherited from. A key that is widened says both."""
    found: dict[str, list[str]] = {}
    for ancestor in section.__mro__:
        if issubclass(ancestor, Section) and ancestor is not Section:
            for name, text in _documented(_class_of(ancestor)):
                found.setdefault(name, []).append(text_of(text))
    for name, field in section.model_fields.items():
        if field.description:
            found[name] = [text_of(field.description)]
    return {name: " ".join(texts) for name, texts in found.items()}


def refusals(section: type[Section]) -> tuple[str, ...]:
    """What a section's validators refuse, as they say it, with an ellipsis for what differs."""
    seen: set[str] = set()
    messages: dict[str, None] = {}
    for ancestor in section.__mro__:
        if issubclass(ancestor, Section) and ancestor is not Section:
            home = sys.modules[ancestor.__module__]
            for method in _class_of(ancestor).body:
                if isinstance(method, ast.FunctionDef):
                    messages |= dict.fromkeys(_refused(method, home, seen))
    return tuple(text for text in messages if len(re.findall(r"\w{2,}", text)) >= _FEWEST_WORDS)


def text_of(docstring: str | None) -> str:
    """A docstring in one line, its roles and literals as Markdown has them."""
    text = " ".join(inspect.cleandoc(docstring or "").split())
    text = re.sub(r":\w+:`~?([\w.]+)`", lambda role: f"`{role[1].rpartition('.')[2]}`", text)
    return text.replace("``", "`")


def _documented(body: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for said, below in zip(body.body, body.body[1:], strict=False):
        match said, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, text
            case _:
                pass


def _refused(function: ast.AST, home: ModuleType, seen: set[str]) -> Iterator[str]:
    for node in ast.walk(function):
        match node:
            case ast.Raise(exc=ast.Call(func=ast.Name(id="ValueError"), args=[message])):
                yield re.sub("…+", "…", " ".join(_words(message, home).split()))
            case ast.Call(func=ast.Name(id=name)):
                called: Any = getattr(home, name, None)
                of_config = getattr(called, "__module__", "").startswith("raybead.config.")
                if inspect.isfunction(called) and of_config and name not in seen:
                    seen.add(name)
                    there = sys.modules[called.__module__]
                    yield from _refused(_function_of(there, name), there, seen)
            case _:
                pass


def _words(message: ast.AST, home: ModuleType) -> str:
    match message:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_words(part, home) for part in parts)
        case ast.FormattedValue(value=ast.Name(id=name)) if isinstance(
            getattr(home, name, None), str
        ):
            return getattr(home, name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _words(left, home) + _words(right, home)
        case _:
            return "…"


@cache
def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _class_of(section: type[Section]) -> ast.ClassDef:
    body = _tree(sys.modules[section.__module__]).body
    return next(
        one for one in body if isinstance(one, ast.ClassDef) and one.name == section.__name__
    )


def _function_of(module: ModuleType, name: str) -> ast.FunctionDef:
    body = _tree(module).body
    return next(one for one in body if isinstance(one, ast.FunctionDef) and one.name == name)
