"""Reading the XML of a request: bounded in size and depth, without DOCTYPE, entities or namespaces.

A document type is refused before anything in it is expanded, so no entity can grow ("billion laughs").
Source of the error: https://github.com/AlibabaCloudDocs/oss (Troubleshooting, HTTP 400: MalformedXML).
"""

from __future__ import annotations

import xml.parsers.expat
from dataclasses import dataclass, field

from ...errors import OssError
from .bodies import small_body
from .registry import OssCall

__all__ = ["MAX_XML", "Element", "malformed", "parse", "read_xml"]

MAX_XML = 5 * 1024 * 1024  # ours; DeleteMultipleObjects has a documented 2 MB
_MAX_DEPTH = 8
_MAX_ELEMENTS = 100_000


@dataclass
class Element:
    """An element: its local name, its text, its children."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def all(self, name: str) -> list[Element]:
        """Return the children of a name."""
        return [child for child in self.children if child.name == name]

    def one(self, name: str) -> str | None:
        """Return the text of the only child of a name; None: there is none."""
        found = self.all(name)
        if len(found) > 1:
            raise malformed(f"{name} appears more than once in {self.name}")
        return found[0].text if found else None


def malformed(why: str = "") -> OssError:
    """Return MalformedXML; `why` is ours, for the person reading the answer."""
    return OssError(
        400,
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema.",
        extra={"ErrorDetail": why[:200]} if why else None,
    )


def parse(data: bytes, root: str) -> Element:
    """Parse a document whose root element is `root`."""
    top = Element("")
    path, count = [top], 0
    texts: list[list[str]] = [[]]

    def start(name: str, _attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(path) > _MAX_DEPTH or count > _MAX_ELEMENTS:
            raise malformed("too many elements, or nested too deeply")
        element = Element(name.rpartition(":")[2])
        path[-1].children.append(element)
        path.append(element)
        texts.append([])

    def text(piece: str) -> None:
        texts[-1].append(piece)

    def end(_name: str) -> None:
        path.pop().text = "".join(texts.pop())

    def no_doctype(*_: object) -> None:
        raise malformed("a document type is not allowed")

    parser = xml.parsers.expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = no_doctype
    try:
        parser.Parse(data, True)
    except xml.parsers.expat.ExpatError as error:
        raise malformed(str(error)) from None
    except (LookupError, ValueError):  # an encoding nobody knows
        raise malformed("the encoding is not known") from None
    if top.children[0].name != root:
        raise malformed(f"the root element must be {root}")
    return top.children[0]


async def read_xml(call: OssCall, root: str, *, limit: int = MAX_XML) -> Element:
    """Read and parse the request's body."""
    return parse(await small_body(call, limit, malformed(f"more than {limit} bytes")), root)
