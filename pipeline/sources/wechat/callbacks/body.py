"""One callback body, XML or JSON, as nested data. What its fields mean does not belong here."""

import json
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

# The largest callbacks on record, mass sendings of eight articles, have about 6 kB.
BYTES_MOST = 262_144
# The deepest known body, a mass sending's copyright check, has five levels.
DEPTH_MOST = 12

Body = dict[str, Any]


class UnreadableBodyError(Exception):
    """No callback body; the text is the reason and quotes nothing of the body."""


def read_bodies(content: bytes) -> list[Body]:
    """The callbacks of one body: one of XML or of a JSON object, several of a JSON array.

    A repeated XML element is a list, one that is not repeated stands alone.
    """
    if len(content) > BYTES_MOST:
        raise UnreadableBodyError(f"found {len(content)} bytes, allowed: {BYTES_MOST}")
    bare = content.removeprefix(b"\xef\xbb\xbf").strip()
    if not bare:
        raise UnreadableBodyError("found an empty body, allowed: XML or JSON")
    return [_read_xml(bare)] if bare.startswith(b"<") else _read_json(bare)


def _read_xml(content: bytes) -> Body:
    try:
        # No entity can be declared without a document type, and no callback has one.
        root = fromstring(content, forbid_dtd=True)
    except (ParseError, ValueError, LookupError) as error:
        raise UnreadableBodyError(f"found no well-formed XML ({type(error).__name__})") from error
    body = _nested(root, 1)
    if root.tag != "xml" or not isinstance(body, dict):
        raise UnreadableBodyError("found another XML document, allowed: <xml> with elements")
    return body


def _nested(element: Element, depth: int) -> Any:
    if depth > DEPTH_MOST:
        raise UnreadableBodyError(f"found elements nested deeper than {DEPTH_MOST}")
    if len(element) == 0:
        return (element.text or "").strip()
    nested: Body = {}
    for child in element:
        value = _nested(child, depth + 1)
        if child.tag not in nested:
            nested[child.tag] = value
        elif isinstance(nested[child.tag], list):
            nested[child.tag].append(value)
        else:
            nested[child.tag] = [nested[child.tag], value]
    return nested


def _read_json(content: bytes) -> list[Body]:
    try:
        found = json.loads(content.decode("utf-8"))
        json.dumps(found, ensure_ascii=False).encode("utf-8")  # an escape may name half a character
    except (ValueError, RecursionError) as error:
        raise UnreadableBodyError(f"found no well-formed JSON ({type(error).__name__})") from error
    bodies = found if isinstance(found, list) else [found]
    if not bodies or not all(isinstance(body, dict) for body in bodies):
        raise UnreadableBodyError("found other JSON, allowed: an object or an array of objects")
    for body in bodies:
        _refuse_depth(body, 1)
    return bodies


def _refuse_depth(value: Any, depth: int) -> None:
    if depth > DEPTH_MOST:
        raise UnreadableBodyError(f"found values nested deeper than {DEPTH_MOST}")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_depth(inner, depth + 1)
