"""What file formats note about their making, taken out before two files are compared: ids, dates, hosts.

Each pattern is linear in the content's size: a record may come from anybody.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # typing costs a fifth of an interpreter's start; mypy knows this name
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["is_noise", "name_without_host", "without_making"]


def without_making(kind: str, data: bytes) -> bytes:
    """The content of a kind (of `measure.kind_of_bytes`) without what is written about its making."""
    return MAKINGS[kind](data) if kind in MAKINGS else data


SVG_ID = re.compile(rb'\bid="([^"\s]{1,200})"')
USES = re.compile(rb'(\bid="|#)([^"\s)]{1,200})(?=["\s)])')
SVG_DATES = re.compile(rb"<dc:date>[^<]{0,100}</dc:date>")


def svg(data: bytes) -> bytes:
    """An SVG file with its ids numbered in the order in which they come: matplotlib draws them by lot."""
    numbers: dict[bytes, bytes] = {}
    for found in SVG_ID.finditer(data):
        numbers.setdefault(found[1], b"id%d" % len(numbers))
    return USES.sub(lambda found: found[1] + numbers.get(found[2], found[2]), SVG_DATES.sub(b"", data))


PDF_NOTES = re.compile(
    rb"\(D:\d{4,14}[^()\n]{0,12}\)"
    rb"|/ID\s{0,4}\[\s{0,4}(?:<[0-9A-Fa-f]{0,64}>|\([^()]{0,64}\))\s{0,4}(?:<[0-9A-Fa-f]{0,64}>|\([^()]{0,64}\))\s{0,4}\]"
    rb"|<xmp:(?:CreateDate|ModifyDate|MetadataDate)>[^<]{0,60}</"
    rb"|<xmpMM:(?:DocumentID|InstanceID)>[^<]{0,100}</"
    rb"|(?:uuid|xmp\.[id]id):[0-9A-Fa-f-]{32,36}"
)


def pdf(data: bytes) -> bytes:
    """A PDF file without its dates and its id."""
    return PDF_NOTES.sub(b"", data)


EVENT = 0x09  # the tag of an event's first field: its wall time, a double


def events(data: bytes) -> bytes:
    """TensorBoard's events without their wall times; the content itself where it is not of whole events."""
    return b"".join(parts) if (parts := list(event_parts(data))) and parts[-1] != b"?" else data


def event_parts(data: bytes) -> Iterator[bytes]:
    """Each event without its time; b"?" at the end if the file ends within one."""
    at = 0
    while at + 16 <= len(data):
        size = int.from_bytes(data[at : at + 8], "little")
        event = data[at + 12 : at + 12 + size]
        if len(event) < size:
            break
        yield event[9:] if event[:1] == bytes([EVENT]) else event
        at += 16 + size
    if at != len(data):
        yield b"?"


MAKINGS: dict[str, Callable[[bytes], bytes]] = {"svg": svg, "pdf": pdf, "events": events}

NOISE = (".data/serialization_id", "docProps/core.xml")


def is_noise(member: str) -> bool:
    """Whether a member of a zip file only tells of its making: torch's id of a checkpoint, a table's dates."""
    return member.endswith(NOISE)


NAMED_BY_TIME = re.compile(r"events\.out\.tfevents\.\d{5,12}\.[^/]{0,300}$")


def name_without_host(path: str) -> str:
    """An artifact's name without the time, host and process in it, by which TensorBoard names its files."""
    return NAMED_BY_TIME.sub("events.out.tfevents", path)
