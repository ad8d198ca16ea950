"""The sample action: some packets go to IPFIX collectors, as they are at this point."""

from __future__ import annotations

from fastpath._flow import WINDOWS
from fastpath.dpif import actions as odp
from fastpath.ofproto.actions.output import OFPP_ANY
from fastpath.ofproto.actions.sample import Sample
from fastpath.ofproto.xlate.commit import commit
from fastpath.ofproto.xlate.context import OFPP_NONE, Xlate
from fastpath.ofproto.xlate.trace import Kind, report

_IN_PORT = WINDOWS["in_port"]
_ALWAYS = 0xFFFFFFFF


def sample(x: Xlate, a: Sample) -> None:
    """Hand packets up with what the report is to say; nothing at all without collectors."""
    bridge, in_port = x.hand.bridge, x.hand.flow.get(_IN_PORT)
    if not bridge.exports_flows or in_port == OFPP_NONE:
        return
    output_port = odp.NO_PORT
    if a.sampling_port not in (OFPP_ANY, in_port):
        port = bridge.port(a.sampling_port)
        if port is None or port.odp_port is None:
            report(x, Kind.ERROR, f"can't use unknown port {a.sampling_port} in flow sample action")
            return
        output_port = port.odp_port
    commit(x)
    up = odp.Userspace(odp.FlowSample(a.probability, a.collector_set_id, a.obs_domain_id, a.obs_point_id,
                                      output_port, a.direction))
    # The same share of 2**32 as it is of 2**16.
    probability = a.probability << 16 | a.probability
    x.out.actions.append(up if probability == _ALWAYS else odp.Sample(probability, (up,)))
