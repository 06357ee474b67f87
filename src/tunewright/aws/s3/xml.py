"""S3's documents: what is answered, and what is asked in a body."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import quote
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from tunewright.aws.s3.faults import S3Fault, text

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

Tree: TypeAlias = "str | Mapping[str, Tree] | Sequence[Tree]"


def stamp(at: float) -> str:
    """ISO 8601 with milliseconds, as AWS writes it."""
    millis = round(at * 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(millis // 1000)) + f".{millis % 1000:03d}Z"


def document(name: str, content: Tree, namespace: str = NAMESPACE) -> bytes:
    """A document; a list in it becomes the same element several times."""
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{namespace}">'
    return f"{head}{_inner(content)}</{name}>".encode("utf-8", "replace")


def _inner(content: Tree) -> str:
    if isinstance(content, str):
        return text(content)
    if isinstance(content, Mapping):
        return "".join(_element(name, value) for name, value in content.items())
    raise TypeError(f"a list has to stand under a name: {content!r}")


def _element(name: str, value: Tree) -> str:
    if not isinstance(value, str | Mapping):
        return "".join(_element(name, item) for item in value)
    return f"<{name}>{_inner(value)}</{name}>"


def url(text: str, encoded: bool) -> str:
    return quote(text, safe="/-_.~*") if encoded else text


def yes(value: bool) -> str:
    return "true" if value else "false"


def parse(body: bytes) -> Element:
    """A request's document. Entities and document types are refused. Raises S3Fault."""
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")

    def refuse(*_: object) -> None:
        raise ValueError("document types are not allowed")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda name, _: builder.start(name.rpartition("}")[2], {})
    parser.EndElementHandler = lambda name: builder.end(name.rpartition("}")[2])
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(body, True)
        found: Element = builder.close()
    except (expat.ExpatError, LookupError, ValueError, AssertionError) as error:
        why = f"The XML you provided was not well-formed or did not validate: {error}"
        raise S3Fault("MalformedXML", why) from None
    return found


def texts(parent: Element, name: str) -> Iterable[str]:
    return (child.text or "" for child in parent.findall(name))
