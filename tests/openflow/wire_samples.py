"""Flows and messages for tests of the OpenFlow wire, and how the reference prints bytes."""

from __future__ import annotations

import subprocess
from dataclasses import replace

from recorder import REQUIRED

from fastpath.fields import BY_NAME
from fastpath.ofproto.actions.versions import OF10, OF11, OF12, OF13, OF14, OF15
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group import BUCKET_LAST, GROUP_ALL, GroupCommand, GroupMod, GroupType
from fastpath.ofproto.group_text import parse_group_mod
from fastpath.ofproto.match import Match
from fastpath.ofproto.meter import Band, BandType, MeterCommand, MeterFlags, MeterMod
from fastpath.ofproto.tlv_table import TlvMapping
from fastpath.openflow.actions.base import put_property
from fastpath.openflow.messages import (
    basic,
    conntrack,
    flow,
    group,
    meter,
    monitor,
    packet,
    port,
    queue,
    role,
    stats,
    tables,
    tlv,
)
from fastpath.openflow.messages.bundle import BundleAdd, BundleControl
from fastpath.openflow.messages.table import encode, versions_of

TEXTS = (
    "tcp,nw_src=10.0.0.0/8,tp_dst=80 actions=output:2,CONTROLLER:128",
    "table=3,priority=7,dl_vlan=5,cookie=5 actions=strip_vlan,mod_dl_src:1:2:3:4:5:6,resubmit(,4)",
    "arp actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],load:0x2->NXM_OF_ARP_OP[],IN_PORT",
    "ip actions=ct(table=1,zone=5,nat)",
    "ip actions=ct(commit,zone=NXM_NX_REG0[0..15],nat(src=1.1.1.1-1.1.1.9:5-6,random),"
    "exec(set_field:1->ct_mark))",
    "ipv6 actions=ct(commit,nat(dst=[fe80::1]-[fe80::9]:80)),ct_clear",
    "actions=learn(table=1,idle_timeout=5,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
    "load:5->NXM_NX_REG0[0..3],output:NXM_OF_IN_PORT[]),NORMAL",
    "actions=learn(table=1,limit=3,result_dst=NXM_NX_REG0[3],delete_learned,eth_type=0x800)",
    "actions=multipath(eth_src,50,modulo_n,4,0,NXM_NX_REG0[0..3]),"
    "bundle(symmetric_l4,0,hrw,ofport,members:1,2),bundle_load(eth_src,0,hrw,ofport,NXM_NX_REG0[],members:3)",
    "actions=controller(reason=no_match,max_len=55,id=3,userdata=01.02.03,pause),note:01.02,exit",
    "actions=controller(max_len=5,id=7),controller(meter_id=9,userdata=01)",
    "actions=push:NXM_NX_REG0[],pop:NXM_NX_REG1[3..5],output:NXM_NX_REG3[0..15],"
    "check_pkt_larger(100)->NXM_NX_REG0[3]",
    "actions=clone(output:1,set_field:3->reg3),set_field:5/0xf->metadata,output(port=1,max_len=100),"
    "sample(probability=5,collector_set_id=3,sampling_port=1,egress)",
    "tcp actions=fin_timeout(idle_timeout=5)",
    "actions=conjunction(7,2/3),conjunction(9,1/2)",
    "ip actions=dec_ttl(1,2),mod_nw_tos:4,mod_nw_src:1.2.3.4,set_tunnel:5,set_tunnel64:0x500000000,"
    "push_mpls:0x8847,set_mpls_label(5),dec_mpls_ttl,pop_mpls:0x800",
    "udp,in_port=LOCAL actions=mod_tp_dst:53,dec_ttl,set_queue:7,pop_queue,group:3",
)
NEW_TEXTS = (
    "actions=meter:5,output:1,clear_actions,write_actions(output:2,group:3),write_metadata:5/7,goto_table:4",
    "actions=encap(nsh(md_type=1)),decap(),encap(ethernet),decap(packet_type(ns=1,type=0x894f))",
    "dl_vlan=9 actions=push_vlan:0x88a8,set_field:4103->vlan_vid,set_field:3->vlan_pcp,pop_vlan",
)


def texts(version: int) -> tuple[str, ...]:
    return TEXTS + (NEW_TEXTS if version >= OF13 else ())


MATCH = Match.parse("in_port=3,metadata=0x77,reg0=5")
PORTS = (port.PortDesc(1, 0xAA0000000001, "p1", 0, 4),
         port.PortDesc(0xFFFE, 0xAA0000000002, "br0", 1, 1, 2, 3, 4, 5, 6, 7))
ENTRY = stats.FlowEntry(Match.parse("tcp,tp_dst=80"), parse_flow("actions=output:2").actions, 7, 3, 0x55,
                        12.5, 10, 20, 0, 0, 100, 2000)


def samples(version: int) -> list[object]:
    """One message of each class that *version* has."""
    in_port = Match.of(in_port=3)
    metadata = MATCH if version >= OF12 else in_port
    removed = flow.FlowRemoved(Match.parse("tcp,tp_dst=80"), 5, 6, 1, 0 if version == OF10 else 3, 1.5, 4,
                               9 if version >= OF12 else 0, 6, 700)
    of10 = version == OF10
    all_of = [
        basic.Hello(frozenset({1, 4, 6})), basic.Error("OFPBRC_BAD_LEN", b"x" * 64),
        basic.EchoRequest(b"abc"),
        basic.EchoReply(b"abc"), basic.FeaturesRequest(), basic.GetConfigRequest(),
        basic.GetConfigReply(1, 128),
        port.FeaturesReply(0x1234, 0, 254, 0, 7, 0xFFF if of10 else 0,
                           () if version >= OF13 else _ports(version)),
        basic.SetConfig(3, 65535), removed, port.PortStatus(2, _ports(version)[1]),
        packet.PacketIn(bytes(60), 60, 1, metadata, *_told(version)),
        packet.PacketOut(b"frame", MATCH if version >= OF15 else in_port,
                         parse_flow("actions=output:2").actions),
        parse_flow("dl_vlan=5 actions=output:2" if not of10 else "dl_vlan=5,table=0 actions=output:2"),
        port.PortMod(5, 6, 1, 1, 0), port.TableMod(5, 2),
        basic.BarrierRequest(), basic.BarrierReply(), basic.RoleRequest("primary", 9),
        basic.RoleReply("equal", 9),
        basic.GetAsyncRequest(), basic.GetAsyncReply(1, 2, 3, 4, 5, 6), basic.SetAsync(1, 2, 3, 4, 5, 6),
        basic.NxRoleRequest("secondary"), basic.NxRoleReply("primary"), basic.SetFlowFormat(2),
        flow.NxFlowMod(parse_flow("tun_id=5,cookie=0x5/-1,table=4 actions=output:1", "modify")),
        flow.NxFlowRemoved(Match.parse("reg3=7"), 5, 6, 1, 3, 1.5, 4, 0, 6, 700), basic.FlowModTableId(1),
        basic.FlowAge(),
        basic.SetPacketInFormat(2), basic.SetControllerId(77),
        packet.NxPacketIn(bytes(60), 60, 1, MATCH, 4, 0x77),
        packet.NxPacketIn2(bytes(60), 60, 1, MATCH, 4, 0x77, userdata=b"\1\2"),
        stats.DescRequest(), stats.DescReply("a", "b", "c", "d", "e"), stats.FlowRequest(),
        stats.FlowReply((ENTRY, ENTRY)), stats.AggregateRequest(), stats.AggregateReply(1, 2, 3),
        stats.TableRequest(), stats.TableReply((stats.TableStats(0, 1, 2, 3),)), stats.PortStatsRequest(5),
        stats.PortStatsReply((stats.PortCounts(1, 2, 3, 4, 5, duration=1.5 if version >= OF13 else 0,
                                               custom=(("rx_q0_packets", 7),) if version >= OF14 else ()),)),
        stats.TableFeaturesRequest(),
        stats.TableFeaturesReply((stats.TableFeatures(0, "table0", properties=REQUIRED),)),
        stats.PortDescRequest(), stats.PortDescReply(_ports(version)),
        stats.NxFlowRequest(Match.parse("tun_id=5"), 4, 9, cookie=5, cookie_mask=7),
        stats.NxFlowReply((stats.FlowEntry(Match.parse("reg0=1"), idle_age=3, hard_age=9),)),
        *_roles_and_tables(version), *_queues(version), *_groups_and_meters(version), *_monitors(version),
        *_conntrack(),
        BundleControl(5, 0, 3), BundleAdd(5, 3, encode(port.PortMod(5), version, 0x12345678)),
        tlv.TlvTableMod(tlv.ADD, (TlvMapping(0xFFFF, 1, 4, 0), TlvMapping(0, 0x80, 124, 63))),
        tlv.TlvTableMod(tlv.CLEAR), tlv.TlvTableRequest(), tlv.TlvTableReply((TlvMapping(3, 0, 0, 7),)),
        stats.NxAggregateRequest(Match.parse("tun_id=5")), stats.NxAggregateReply(1, 2, 3)]
    return [m for m in all_of if version in versions_of(type(m))]


def _ports(version: int) -> tuple[port.PortDesc, ...]:
    one, other = PORTS
    return one, port.PortDesc(*(getattr(other, n) for n in port.PortDesc.__slots__[:9]),
                              *((6, 7) if version > OF10 else ()))


def _roles_and_tables(version: int) -> tuple[object, ...]:
    masks = (("packet_in", True, 3), ("packet_in", False, 7), ("table_status", False, 0x18))
    settings = tables.TableDesc(3, 12, tables.TableSettings(5, (20, 80, 50)))
    meter_mod = MeterMod(MeterCommand.DELETE, 5) if version >= OF13 else GroupMod(GroupCommand.DELETE)
    return (
        role.SetAsync14(masks), role.GetAsyncReply14(masks), role.RoleStatus("secondary", 0, 9),
        role.RequestForward(encode(meter_mod, version, 5)), tables.TableStatus(3, settings),
        tables.TableDescRequest(), tables.TableDescReply((settings, tables.TableDesc(4))),
        packet.NxResume(
            bytes(60), 60, 1, MATCH, continuation=put_property(0x8000, bytes(16))))


def _queues(version: int) -> tuple[object, ...]:
    port_no = 5 if version >= OF12 else 1           # 1.1 and before do not say it for each queue
    configs = (queue.QueueConfig(port_no, 0), queue.QueueConfig(port_no, 7, 5, 1000),
               queue.QueueConfig(port_no, 9, None, 2000), queue.QueueConfig(port_no, 3, 0))
    known = queue.QueueStats(1, 2, 3, 4, 5, 1.5 if version >= OF13 else None)
    return (
        queue.QueueRequest(1, 2), queue.QueueReply((queue.QueueStats(1, 7), known)),
        queue.QueueConfigRequest(1), queue.QueueConfigReply(1), queue.QueueConfigReply(1, configs),
        queue.QueueDescRequest(1, 2), queue.QueueDescReply(), queue.QueueDescReply(configs))


def _groups_and_meters(version: int) -> tuple[object, ...]:
    buckets = parse_group_mod("group_id=3,type=select,bucket=weight=3,bucket_id:0,watch_port=1,output:2,"
                              "bucket=bucket_id:1,watch_group=4,dec_ttl,output:3").buckets
    method = ("hash", 7, ((BY_NAME["nw_src"], 0xFFFF0000), (BY_NAME["tcp_dst"], 0xFFFF)))
    select, no_method = GroupType.SELECT, ("", 0, ())
    properties = group.has_properties(version)
    weighed = tuple(replace(b, weight=b.weight or 1) for b in buckets)
    bands = (Band(BandType.DROP, 5, 6), Band(BandType.DSCP_REMARK, 7, 8, 1))
    return (
        GroupMod(GroupCommand.ADD, 3, select, buckets, *(method if properties else no_method)),
        GroupMod(GroupCommand.INSERT_BUCKET, 3, select, weighed[:1], command_bucket_id=BUCKET_LAST)
        if properties else GroupMod(GroupCommand.DELETE), MeterMod(MeterCommand.ADD, 5, MeterFlags(5), bands),
        group.GroupStatsRequest(3), group.GroupStatsReply((group.GroupStats(
            3, 1, 20, 3000, 0 if version in (OF11, OF12) else 1.5, ((1, 2), (3, 4))),) * 2),
        group.GroupDescRequest(3 if properties else GROUP_ALL),
        group.GroupDescReply((group.GroupDesc(3, select, weighed, *(method if properties else no_method)),
                              group.GroupDesc(4))), group.GroupFeaturesRequest(),
        group.GroupFeaturesReply(15, 7, (1, 2, 3, 4), (1, 1, 1, 1)), meter.MeterStatsRequest(4),
        meter.MeterStatsReply((meter.MeterCounts(4, 1, 2, 3, 1.25, ((5, 6), (7, 8))),
                               meter.MeterCounts(5))), meter.MeterConfigRequest(),
        meter.MeterConfigReply((meter.MeterConfig(4, MeterFlags.PKTPS, bands), meter.MeterConfig(5))),
        meter.MeterFeaturesRequest(), meter.MeterFeaturesReply(7, 6, 15, 8))


def _monitors(version: int) -> tuple[object, ...]:
    ip, Event = Match.parse("ip,in_port=3"), monitor.Event
    actions = parse_flow("actions=output:2").actions
    first = Event.INITIAL if version >= OF14 else Event.ADDED
    states = (Event.PAUSED, Event.RESUMED) if version >= OF14 else ()
    groups = {"out_group": 5, "command": 1} if version >= OF14 else {}
    return (
        monitor.FlowMonitorRequest((monitor.MonitorRequest(7, 31, ip, 3, 2, **groups),
                                    monitor.MonitorRequest(8, 2))),
        monitor.FlowMonitorReply((
            monitor.FlowUpdate(first, ip, actions, 7, 3, 5, 0, 10, 20),
            monitor.FlowUpdate(Event.MODIFIED, ip), monitor.FlowUpdate(Event.REMOVED, ip, reason=2),
            monitor.FlowUpdate(Event.ABBREV, xid=9),
            *(monitor.FlowUpdate(state) for state in states))),
        monitor.FlowMonitorCancel(7), monitor.FlowMonitorPaused(), monitor.FlowMonitorResumed())


def _conntrack() -> tuple[object, ...]:
    CtTuple = conntrack.CtTuple
    return (
        conntrack.CtFlushZone(5), conntrack.CtFlush(), conntrack.CtFlush(6, CtTuple(
            0xFFFF0A000001, None, 1), CtTuple(dst=0xFFFF01020304, dst_port=5), 5),
        conntrack.CtFlush(58, CtTuple(1 << 120, 1, None, None, 5, 1, 2)), conntrack.IpfixBridgeRequest(),
        conntrack.IpfixFlowRequest(), conntrack.IpfixBridgeReply(*range(10)),
        conntrack.IpfixFlowReply((conntrack.IpfixCounts(*range(11)), conntrack.IpfixCounts(set_id=12345))))


def _told(version: int) -> tuple[int, ...]:
    return () if version == OF10 else (4,) if version < OF13 else (4, 0x77)


def printed(ovs_ofctl: str, data: bytes) -> str:
    """What ``ovs-ofctl ofp-print`` says of *data*."""
    done = subprocess.run([ovs_ofctl, "ofp-print", data.hex()], capture_output=True, text=True, timeout=60)
    return done.stdout.strip() + done.stderr.strip()
