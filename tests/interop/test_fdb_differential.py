"""The MAC table as in the reference: fdb/show and fdb/stats-show to the letter, after the same packets,
pinned addresses, flushes, changes of size and seconds.

Two of the reference's habits are kept away from: in a full table traffic pushes out static addresses, whose
count it then loses (here they sit on the port with fewest addresses), and a change of the aging time while
there are static ones ends all aging (here it is chosen at the start).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from pair import LOCAL, Pair
from reference import Reference, Refused, available
from rule_sets import Case

import fastpath
from fastpath.errors import NotFoundError
from fastpath.ofproto.xlate import translate
from fastpath.ofproto.xlate.context import XlateIn
from fastpath.testing import frame

N_CASES, N_STEPS = 5, 120
PORTS = {"p1": 1, "p2": 2, "p3": 3, "p4": 4}
PINNED = [f"02:00:00:00:01:{i:02x}" for i in range(2)]
NORMAL = Case(0, "OpenFlow13", ("actions=NORMAL",), ())


class Run:
    """One random history of a bridge in both switches."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair, self.r = pair, random.Random(seed)
        self.br = pair.add_bridge("br0", PORTS, 100)
        assert pair.compare("br0", NORMAL)
        self.aging, self.size = self.r.choice((15, 20, 60)), 0
        self.history = [f"seed {seed}, aging {self.aging}"]
        self.tell(f"mac-aging-time={self.aging}")
        self.br.set_fdb(mac_aging=self.aging)
        self.resize()

    def tell(self, setting: str) -> None:
        self.pair.ref.vsctl("set", "bridge", "br0", f"other_config:{setting}")

    def packet(self) -> None:
        """A station speaks, or a crowd of them on one port."""
        port = self.r.choice((1, 1, 2, 3, 4))
        for _ in range(self.r.choice((1, 1, 1, 9))):
            src = self.r.choice([f"02:00:00:00:00:{self.r.randrange(30):02x}", *PINNED])
            data = frame("eth", src=src, dst="02:00:00:00:00:ff", vlan=self.r.choice((None, None, 5, 7)))
            self.history.append(f"packet in {port} from {src}")
            key = fastpath.extract(data, in_port=port)
            vlan = f",dl_vlan={key.vlan_tci & 0xFFF}" if key.vlan_tci else ""
            self.pair.ref.trace("br0", f"in_port={port},dl_src={src},dl_dst=02:00:00:00:00:ff{vlan}",
                                "-generate")
            translate(XlateIn(self.br.ofproto, key, now=self.pair.switch.now, packet=data))

    def pin(self) -> None:
        mac, vlan, port = self.r.choice(PINNED), self.r.choice((0, 5)), LOCAL
        self.history.append(f"pin {mac} in {vlan} to {port}")
        self.br.add_mac(port, mac, vlan=vlan)
        self.pair.ref.appctl("fdb/add", "br0", self.br.port(port).name, str(vlan), mac)

    def unpin(self) -> None:
        mac, vlan = self.r.choice(PINNED), self.r.choice((0, 5))
        self.history.append(f"unpin {mac} in {vlan}")
        outcomes = []
        for delete in (lambda: self.br.del_mac(mac, vlan=vlan),
                       lambda: self.pair.ref.appctl("fdb/del", "br0", str(vlan), mac)):
            try:
                delete()
                outcomes.append(True)
            except (NotFoundError, Refused):
                outcomes.append(False)
        assert outcomes[0] is outcomes[1], "\n".join(self.history)

    def flush(self) -> None:
        self.history.append("flush")
        self.br.flush_fdb()
        self.pair.ref.appctl("fdb/flush", "br0")

    def clear(self) -> None:
        self.history.append("clear")
        self.br.clear_fdb_stats()
        self.pair.ref.appctl("fdb/stats-clear", "br0")

    def resize(self) -> None:
        self.size = self.r.choice([size for size in (22, 26, 30, 34) if size != self.size])
        self.history.append(f"size {self.size}")
        self.br.set_fdb(max_macs=self.size)
        self.tell(f"mac-table-size={self.size}")

    def flood_vlans(self) -> None:
        vlans = self.r.choice(([], [7], [7, 9]))
        self.history.append(f"flood VLANs {vlans}")
        self.br.set_fdb(flood_vlans=vlans)
        self.pair.ref.vsctl("set", "bridge", "br0", f"flood-vlans={vlans}")

    def wait(self) -> None:
        seconds = self.r.choice((1, 2, 5, 9))
        self.history.append(f"wait {seconds}")
        self.pair.switch.advance(seconds)
        self.pair.ref.appctl("time/warp", str(1000 * seconds))
        time.sleep(0.02)            # the daemon looks at its tables once it is done answering

    def step(self) -> None:
        steps = (self.packet, self.pin, self.wait, self.unpin, self.resize, self.flush, self.clear,
                 self.flood_vlans)
        self.r.choices(steps, (30, 6, 6, 3, 2, 1, 1, 1))[0]()
        for ours, theirs in ((self.br.dump_fdb(), "fdb/show"), (self.br.dump_fdb_stats(), "fdb/stats-show")):
            said = self.pair.ref.appctl(theirs, "br0").splitlines()
            self.pair.assert_equal(ours.splitlines(), said, theirs, tuple(self.history))


@pytest.fixture
def stopped() -> Iterator[Pair]:
    """A pair of its own: a clock of the reference that was stopped never goes on by itself."""
    if not available():
        pytest.skip("the reference switch is not installed")
    with Reference() as reference, fastpath.Switch(seed=1) as switch:
        reference.appctl("time/stop")
        yield Pair(reference, switch, {})


def test_the_same_history_makes_the_same_table(stopped: Pair, more: int) -> None:
    pair = stopped
    for seed in range(N_CASES * more):
        run = Run(pair, seed)
        for _ in range(N_STEPS):
            run.step()
        pair.ref.vsctl("del-br", "br0")
        pair.switch.del_bridge("br0")
        pair.numbers.clear()
