"""What two runs of one switch print alike: handles by order of appearance, floods by port.

Who floods goes through ports in the order of a hash of where they lie in memory, so that what is done to each
copy of the packet, and in which order, differs from run to run.  A list of such actions is told by what comes
out of each port.
"""

from __future__ import annotations

import re

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_STORED = re.compile(r", dp-extra-info:miniflow_bits\([\d,]*\)")    # how the reference stores a flow
_OWN_MAC = re.compile(r"\baa:55:aa:55(:[0-9a-f]{2}){2}")
_RECIRC = re.compile(r"(recirc_id=|recirc_id\(|recirc\()(0x[0-9a-f]+|\d+)")
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+Z\|\d+\|", re.MULTILINE)    # of a client's own log
_LATE = re.compile(r"^(?:timeval|poll_loop)\|.*\n?", re.MULTILINE)      # how busy the machine is
_STEP = r"(?:\d+|push_vlan\([^)]*\)|pop_vlan)"
_FLOOD = re.compile(rf"(?<=[ :,(]){_STEP}(?:,{_STEP})+(?=[,)\n]|$)", re.MULTILINE)
_TAG = re.compile(r"\bdl_vlan=(\d+)(?:,dl_vlan_pcp=(\d+))?|vlan\(vid=(\d+)(?:,pcp=(\d+))?\)")
_WORDS = re.compile(_STEP)


def alike(text: str) -> str:
    """*text* without what differs between two runs of one switch."""
    text = _OWN_MAC.sub("MAC", _UUID.sub("UUID", _STORED.sub("", _LATE.sub("", _MOMENT.sub("", text)))))
    seen: dict[str, str] = {}
    text = _RECIRC.sub(lambda m: m[1] + (seen.setdefault(m[2], f"R{len(seen)}") if m[2] not in ("0", "0x0")
                                         else m[2]), text)
    lines = text.split("\n")
    return "\n".join(_floods(line, " ".join(lines[max(0, i - 1):i + 1])) for i, line in enumerate(lines))


def _floods(line: str, near: str) -> str:
    """*line* with its floods by port; the flow it is about is told in *near*."""
    tag = _TAG.search(near)
    own = None
    if tag is not None:
        vid, pcp = (tag[1], tag[2]) if tag[1] else (tag[3], tag[4])
        own = f"vid={vid},pcp={pcp or 0}"
    return _FLOOD.sub(lambda found: _by_port(found[0], own), line)


def _by_port(actions: str, own: str | None) -> str:
    tags, sent = [own] if own and own != "vid=0,pcp=0" else [], []
    for word in _WORDS.findall(actions):
        if word == "pop_vlan":
            tags = tags[:-1]
        elif word.startswith("push_vlan"):
            tags = [*tags, word[len("push_vlan("):-1]]
        else:
            sent.append((int(word), "".join(f"<{tag}>" for tag in tags)))
    return ",".join(f"{port}{tag}" for port, tag in sorted(sent))
