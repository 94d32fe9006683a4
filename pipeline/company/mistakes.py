"""Reading the company's files so that every mistake names file, line, key and what is allowed."""

import copy
import difflib
import itertools
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import ruamel.yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

Step = str | int
Model = TypeVar("Model", bound=BaseModel)
VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_]\w*)(?P<has_default>:-(?P<default>[^}]*))?\}")

# What a reader should write where pydantic only names the type that it expected.
WANTED = {
    "date": "a day such as 2026-10-01",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "dict": "keys with values",
    "model": "keys with values",
    "tuple": "a list",
    "list": "a list",
    "path": "a path",
}


class Settings(BaseModel):
    """The base of every model of the company folder: unchangeable, and no key is ignored."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", coerce_numbers_to_str=True, populate_by_name=True
    )


class DaysAsText(RoundTripConstructor):
    """Leaves days to the models: the reader itself would fall over 2026-02-30."""


DaysAsText.add_constructor("tag:yaml.org,2002:timestamp", DaysAsText.construct_scalar)


@dataclass(frozen=True)
class Document:
    """One YAML file of the company folder: plain values, and the line of each of them."""

    name: str
    values: Any
    written: Any

    def line(self, path: Sequence[Step]) -> int:
        """The line (from 1) where the last step of `path` that exists in the file is written."""
        node, line = self.written, 1
        for step in path:
            key = _written_key(node, step)
            if key is None:
                break
            line = node.lc.data[key][0] + 1
            node = node[key]
        return line

    def keys(self, path: Sequence[Step]) -> list[str]:
        """The keys written under `path`, in the file's order."""
        node = self.values
        for step in path:
            node = node[step]
        return list(node)

    def found(self, path: Sequence[Step]) -> str:
        """What the file says at `path`, before variables are expanded, so that no secret shows."""
        node = self.written
        for step in path:
            key = _written_key(node, step)
            if key is None:
                return "nothing"
            node = node[key]
        if isinstance(node, CommentedMap):
            return "keys with values"
        if isinstance(node, CommentedSeq):
            return "a list"
        return "nothing" if node is None else f"'{node}'"

    def mistake(self, path: Sequence[Step], problem: str) -> str:
        return f"{self.name}:{self.line(path)}: {_key(path)}{problem}"


def _written_key(node: Any, step: Step) -> Any:
    """The key under which `step` is written in `node`: `1:` is read as the text '1'."""
    if isinstance(node, CommentedMap):
        return next((key for key in node if str(key) == str(step)), None)
    if isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node):
        return step
    return None


def _key(path: Sequence[Step]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"{text.lstrip('.')}: " if text else ""


def suggest(word: str, allowed: Iterable[str]) -> str:
    """The allowed words, and the one that `word` was most likely meant to be."""
    words = list(allowed)
    # Databases differ in the case in which they keep a name.
    in_lower_case = {allowed_word.lower(): allowed_word for allowed_word in words}
    near = difflib.get_close_matches(word.lower(), in_lower_case, n=1, cutoff=0.6)
    listed = ", ".join(words) if words else "nothing here"
    return f"allowed: {listed}" + (f"; did you mean '{in_lower_case[near[0]]}'?" if near else "")


def read_document(
    folder: Path, name: str, environment: Mapping[str, str], mistakes: list[str]
) -> Document | None:
    """Read one YAML file and expand its variables; None, told in `mistakes`, if it is broken."""
    try:
        text = (folder / name).read_text(encoding="utf-8-sig")
        reader = ruamel.yaml.YAML(typ="rt")
        reader.Constructor = DaysAsText
        written = reader.load(text)
    except UnicodeDecodeError as error:
        mistakes.append(
            f"{name}:1: found a byte that is not UTF-8 (at {error.start}), allowed: UTF-8"
        )
        return None
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        line = mark.line + 1 if mark else 1
        problem = str(getattr(error, "problem", None) or getattr(error, "reason", "")).split("\n")
        mistakes.append(f"{name}:{line}: found text that is not YAML: {problem[0]}")
        return None
    document = Document(name=name, values=None, written=written)
    values = _expand(document, written, (), environment, mistakes)
    return Document(name=name, values=values, written=written)


def _expand(
    document: Document,
    node: Any,
    path: tuple[Step, ...],
    environment: Mapping[str, str],
    mistakes: list[str],
) -> Any:
    if isinstance(node, Mapping):
        return {
            str(key): _expand(document, value, (*path, str(key)), environment, mistakes)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [
            _expand(document, value, (*path, at), environment, mistakes)
            for at, value in enumerate(node)
        ]
    if not isinstance(node, str):
        return float(node) if isinstance(node, float) else node

    def replace(variable: re.Match[str]) -> str:
        name = variable["name"]
        if environment.get(name):
            return environment[name]
        if variable["has_default"]:
            return variable["default"]
        mistakes.append(
            document.mistake(path, f"found ${{{name}}}, which is not set, allowed: a variable of "
                             "the environment or of .env, or ${NAME:-default}")
        )  # fmt: skip
        return variable[0]

    return VARIABLE.sub(replace, str(node))


def read_model(model: type[Model], document: Document, mistakes: list[str]) -> Model | None:
    """The document as `model`, with what does not fit told in `mistakes` and left out.

    Leaving it out lets later checks find the other mistakes of the same file in the same run. None
    where nothing sound is left.
    """
    values = {} if document.values is None else copy.deepcopy(document.values)
    told = False
    while True:
        try:
            return model.model_validate(values)
        except ValidationError as error:
            details = [dict(detail) for detail in error.errors(include_url=False)]
            if not told:
                mistakes.extend(_explain(detail, document, model) for detail in details)
                told = True
            if not all(_leave_out(values, detail) for detail in details):
                return None


def _path(detail: dict[str, Any]) -> tuple[Step, ...]:
    return tuple(step for step in detail["loc"] if step != "[key]")


def _leave_out(values: Any, detail: dict[str, Any]) -> bool:
    """Remove what `detail` complains of, a whole list for its item; False if nothing can stay."""
    path = _path(detail)[:-1] if detail["type"] == "missing" else _path(detail)
    path = tuple(itertools.takewhile(lambda step: isinstance(step, str), path))
    if not path:
        return False
    for step in path[:-1]:
        values = values.get(step, {})
    values.pop(path[-1], None)
    return True


def _explain(detail: dict[str, Any], document: Document, model: type[BaseModel]) -> str:
    path = _path(detail)
    kind, context = detail["type"], detail.get("ctx", {})
    found = document.found(path)
    if kind == "extra_forbidden":
        problem = f"unknown key, {suggest(str(path[-1]), _allowed_keys(model, path))}"
    elif kind == "missing":
        problem = "missing, and required"
    elif kind == "literal_error":
        words = re.findall(r"'([^']*)'", context["expected"])
        problem = f"found {found}, {suggest(str(detail['input']), words)}"
    elif kind == "greater_than_equal":
        problem = f"found {found}, allowed: {context['ge']} or more"
    elif kind == "value_error":
        problem = f"found {found}, {context['error']}"
    else:
        wanted = WANTED.get(kind.split("_")[0], detail["msg"])
        problem = f"found {found}, allowed: {wanted}"
    return document.mistake(path, problem)


def _allowed_keys(model: type[BaseModel], path: Sequence[Step]) -> list[str]:
    """The keys of the model that `path` leads into, in the order in which they are declared."""
    current: Any = model
    for step in path[:-1]:
        current = _inner(current, step)
    return _names(current) if isinstance(current, type) else []


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _inner(annotation: Any, step: Step) -> Any:
    """The type under `step` of `annotation`: a field, a mapping's value or a list's item."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field for name, field in annotation.model_fields.items()}
        annotation = fields[str(step)].annotation if str(step) in fields else None
    else:
        arguments = typing.get_args(annotation)
        annotation = arguments[-1 if typing.get_origin(annotation) is dict else 0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(of for of in typing.get_args(annotation) if of is not type(None))
    return annotation
