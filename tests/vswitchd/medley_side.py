"""One daemon of a medley: a bridge of six dummies, asked over its control socket and by usual clients.

What it says is made comparable here: handles, ages and the order of floods are not the tables' doing.
"""

from __future__ import annotations

import re
import struct

from alike import alike
from medley_fields import PORT_NUMBERS
from medley_tables import Medley
from reference import Control, Refused
from stack import DUMMIES, Stack

TLVS = "{class=0x1,type=0,len=4}->tun_metadata0,{class=0x2,type=1,len=8}->tun_metadata1"
PCAP_HEADER, RECORD_HEADER = 24, 16
PARSED = "usable flow formats", "flows.txt:"        # in what ovs-ofctl says of rules it does not send
_VERSIONS = ",".join(f"OpenFlow1{i}" for i in range(6))
_ASKED = {"flows": "-O OpenFlow15 dump-flows br0", "groups": "-O OpenFlow15 dump-group-stats br0",
          "meters": "-O OpenFlow13 meter-stats br0", "tables": "-O OpenFlow13 dump-tables br0",
          "ports": "-O OpenFlow10 dump-ports br0"}
_LABEL = re.compile(r"(ipv6_label=0x[0-9a-f]+)/0xfffff")        # 20 bits in a member of 32
_HANDLE = re.compile(r"(recirc_id=|recirc_id\(|recirc\()(?!0\b|0x0\b)(0x[0-9a-f]+|\d+)")
_AGE = re.compile(r"(?:duration=[\d.]+s|(?:idle|hard)_age=\d+|used:(?:[\d.]+s|never)),? ?")
_DUMP = re.compile(r"^[0-9a-f]{8}  .*\n", re.MULTILINE)         # of a message nobody can read
_FLOODS = re.compile(r"flooding|^ *(?:FLOOD|ALL)$", re.MULTILINE)
_REFUSED_VLAN = "     >>>> dropping VLAN"
_TAGS = re.compile(r"<[^>]*>|push_vlan\([^)]*\)|pop_vlan|set\(vlan[^)]*\)\)")


def plain(text: str) -> str:
    """*text* without handles, ages and numbers of messages."""
    text = re.sub(r"xid=0x[0-9a-f]+", "xid", _AGE.sub("", _DUMP.sub("", text)))
    return _HANDLE.sub(r"\1R", _LABEL.sub(r"\1", text))


def _renamed(text: str) -> str:
    """*text* with recirculation ids by their turn."""
    seen: dict[str, str] = {}
    return _HANDLE.sub(lambda m: m[1] + seen.setdefault(m[2], f"R{len(seen)}"), text)


def unordered(actions: str) -> str:
    """Datapath actions of a flood: ports and the rest in some order, without the tags, which go by it."""
    return ",".join(sorted(re.findall(r"[\w.:/=]+", _TAGS.sub("", actions))))


def told(text: str) -> str:
    """A trace, where it floods without the order of ports."""
    text = _LABEL.sub(r"\1", text)
    if not _FLOODS.search(text):
        return _renamed(text)
    text = alike(text)
    out: list[str] = []
    held: list[str] = []            # lines about one port each
    for line in text.split("\n"):
        if line.lstrip().startswith(_REFUSED_VLAN.lstrip()):
            held.append(line)
            continue
        out += [*sorted(held), unordered(line) if line.startswith("Datapath actions: ") else line]
        held.clear()
    return "\n".join([*out, *sorted(held)])


class Side:
    """A daemon and all that is asked of it."""

    def __init__(self, program: tuple[str, ...]) -> None:
        self.stack = Stack(program, *DUMMIES)
        try:
            self._begin()
        except BaseException:
            self.stack.close()
            raise

    def _begin(self) -> None:
        stack = self.stack
        stack.run("ovs-appctl time/stop; ovs-appctl vlog/disable-rate-limit")
        self._control = Control(stack.dir / f"ovs-vswitchd.{stack.pid()}.ctl")
        ports = " ".join(f"-- add-port br0 p{i} -- set interface p{i} type=dummy ofport_request={i} "
                         f"options:tx_pcap=p{i}.pcap" for i in PORT_NUMBERS)
        wrong = stack.run("ovs-vsctl add-br br0 -- set bridge br0 datapath_type=dummy fail_mode=secure "
                          f"other_config:hwaddr=aa:55:aa:55:00:01 protocols={_VERSIONS} "
                          f"-- set open_vswitch . other_config:vlan-limit=2 {ports}"
                          f"&& ovs-ofctl add-tlv-map br0 '{TLVS}'"
                          "&& ovs-ofctl -O OpenFlow15 monitor br0 65534 -P nxt_packet_in2 --detach "
                          "--no-chdir --pidfile=$PWD/mon.pid --unixctl=$PWD/mon.ctl 2> mon.log")
        if wrong:
            raise RuntimeError(wrong)
        self._read, self._heard = dict.fromkeys(PORT_NUMBERS, PCAP_HEADER), 0

    def app(self, *words: str) -> str:
        """What a command of ovs-appctl answers."""
        try:
            return self._control(*words)
        except Refused as refusal:
            return f"refused: {refusal}"

    def fill(self, made: Medley) -> str:
        """Put a medley in the place of what was there; what the clients said to it."""
        for name, lines in (("flows", made.rules), ("groups", made.groups)):
            (self.stack.dir / f"{name}.txt").write_text("\n".join(lines) + "\n")
        commands = [f"ovs-ofctl -O OpenFlow15 del-{what} br0" for what in ("flows", "groups", "meters")]
        commands += ["ovs-appctl fdb/flush br0 > /dev/null", "ovs-appctl revalidator/purge"]
        if made.ports:
            commands.append(f"ovs-vsctl {' '.join(made.ports)} | sed 's/^[-0-9a-f]*$//'")
        commands += [f"ovs-ofctl -O OpenFlow13 add-meter br0 '{meter}'" for meter in made.meters]
        if made.groups:
            commands.append("ovs-ofctl -O OpenFlow15 add-groups br0 groups.txt")
        commands.append(f"ovs-ofctl -O {made.version} add-flows br0 flows.txt; true")
        return plain(self.stack.run("; ".join(commands)))

    def readable(self, made: Medley) -> list[str]:
        """The rules that ovs-ofctl sends in the medley's version."""
        (self.stack.dir / "each.txt").write_text("\n".join(made.rules) + "\n")
        said = self.stack.run(f"while read -r rule; do ovs-ofctl -O {made.version} parse-flow \"$rule\" "
                              "> /dev/null 2>&1 && echo yes || echo no; done < each.txt").split()
        return [rule for rule, word in zip(made.rules, said, strict=True) if word == "yes"]

    def receive(self, port: str, frame: bytes) -> str:
        """Let a frame come in by a port, and time pass."""
        return self.app("netdev-dummy/receive", port, frame.hex()) + self.app("time/warp", "10")

    def sent(self) -> list[str]:
        """What each port has sent since this was asked."""
        out = []
        for i in PORT_NUMBERS:
            with (self.stack.dir / f"p{i}.pcap").open("rb") as file:
                file.seek(self._read[i])
                data = file.read()
            self._read[i] += len(data)
            while data:
                end = RECORD_HEADER + struct.unpack_from("<I", data, 8)[0]
                out.append(f"p{i} {data[RECORD_HEADER:end].hex()}")
                data = data[end:]
        return out

    def heard(self) -> list[str]:
        """What a controller has been told since this was asked."""
        self.stack.run("ovs-appctl -t $PWD/mon.ctl ofctl/barrier")
        text = (self.stack.dir / "mon.log").read_text()
        new, self._heard = text[self._heard:], len(text)
        new = re.sub(r"^ continuation.*\n", "", plain(new), flags=re.MULTILINE)
        return [message for message in re.split(r"^(?=\w)", new, flags=re.MULTILINE)
                if not message.startswith(("OFPT_ECHO", "OFPT_BARRIER"))]

    def megaflows(self) -> list[str]:
        """The flows of the datapath."""
        text = plain(self.app("dpctl/dump-flows", "dummy@ovs-dummy"))
        return sorted(line for line in text.split("\n") if line and not line.startswith("flow-dump"))

    def counters(self) -> dict[str, list[str]]:
        """Counters of rules, groups, meters, tables and ports, and the addresses learned."""
        said = self.stack.run("echo ==; ".join(f"ovs-ofctl {words}; " for words in _ASKED.values()))
        found = {name: sorted(plain(part.replace("\n           tx", " tx")).split("\n"))
                 for name, part in zip(_ASKED, said.split("==\n"), strict=True)}
        stations = self.app("fdb/show", "br0").split("\n")
        found["stations"] = sorted(" ".join(line.split()[:3]) for line in stations)
        return found

    def close(self) -> None:
        """End everything."""
        self._control.close()
        self.stack.run("ovs-appctl -t $PWD/mon.ctl exit")
        self.stack.close()
