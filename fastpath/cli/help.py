"""What ``fastpath COMMAND --help`` prints around its options: descriptions and examples, as text alone."""

from __future__ import annotations

RUN = """\
Forward packets between ports until the time is up, or SIGINT or SIGTERM comes.
Packets that ports had accepted by then are forwarded first."""

RUN_MORE = """\
examples:
  fastpath run --port veth0 --port veth1              learn and switch between two devices
  fastpath run --port veth0 --port veth1 --flow in_port=1,actions=output:2 --seconds 10
  fastpath run --port eth0 --port tap:tap0,mtu=1400 --flows acl.txt --socket /run/fp.sock
  fastpath run --port pcap:a,read=in.pcap,pace=real --port pcap:b,write=out.pcap
  fastpath run --port veth0 --port veth1 --listen punix:/run/of.sock     # ovs-ofctl show unix:/run/of.sock
  fastpath run --port veth0 --port veth1 --controller tcp:10.0.0.1:6653 --protocols OpenFlow13
  fastpath run --config lab.toml

types of ports and their options:
  af_packet:NAME  network device: ifname, netns, ring, promisc, qdisc_bypass
  afxdp:NAME      the same past the host's stack, faster with small frames, no offloads: ifname, netns,
                  native, zero_copy
  tap:NAME        device of the host that ends in the switch: ifname, netns, mac, mtu, up
  memory:NAME     queues in memory: capacity, vnet, mtu
  pcap:NAME       capture files: read, write, pace (asap, real or a factor), loop, epoch_s, mtu
  any of them     faults: drop, duplicate, corrupt, reorder, delay, seed, direction;
                  records: capture=FILE.pcap, trace=FILE

a file for --config:
  [switch]                        # threads, seed, socket, seconds, flow_limit, max_idle,
  threads = 2                     # max_revalidator (both in seconds), min_revalidate_pps, poll_us, rundir,
                                  # datapath (netdev or system), strict, private_key, certificate, ca_cert,
                                  # bootstrap_ca_cert
  [bridges.br0]                   # flows, flow_file, groups, group_file, meters, mac_aging, max_macs,
                                  # flood_vlans, static_macs, fail_mode,
                                  # controllers, listen, protocols, dpid, in_band
  flows = ["priority=10,tcp,tp_dst=23,actions=drop", "priority=0,actions=NORMAL"]
  [bridges.br0.ports.office]      # io (as --port takes it) or patch (name of the peer), number, tag, trunks,
  io = "eth1"                     # vlan_mode, priority_tags, no_flood, no_forward, no_receive,
  tag = 10                        # no_packet_in, protected, cvlans, qinq_ethtype
  [bridges.br0.mirrors.span]      # select_all, select_src_port, select_dst_port, select_vlan, output_port,
  select_src_port = ["office"]    # output_vlan, snaplen
  output_vlan = 99
  [bridges.br0.snooping]          # aging, max_groups, flood_unregistered, flood and flood_reports (ports)
  aging = 300"""

REPLAY = """\
Send a capture through rules, in the capture's own time; write what comes out of
each port to DIR/port-N.pcap, and what happened to DIR/summary.txt."""

REPLAY_MORE = """\
example:
  fastpath replay in.pcap --flows acl.txt --in-port 1 --out result"""

TRACE = """\
Explain, as ofproto/trace does, what would be done with a flow, a frame, or every
frame of a capture: by the rules of a file, or by a running instance."""

TRACE_MORE = """\
examples:
  fastpath trace --flows acl.txt in_port=1,tcp,nw_dst=10.0.0.2,tcp_dst=80
  fastpath trace --flows acl.txt --why in_port=1,udp,udp_dst=53     # which rules it missed, and for what
  fastpath trace --flows acl.txt --in-port 2 --pcap in.pcap
  fastpath trace --flows acl.txt --actions 'dec_ttl,resubmit(,0)' in_port=1,ip,nw_ttl=9
  fastpath trace --socket /run/fp.sock --in-port eth0 --packet 'ffffffffffff 020000000001 88b5'
  fastpath trace --socket /run/fp.sock --generate in_port=1,arp     # what it would learn is learned"""

EXTRACT = "Print the flow key of every packet of a capture, as ovs-ofctl parse-pcap does."
CHANGE = "In the instance that was started with --socket PATH: {}."
VIEW = "Print {} of the instance that was started with --socket PATH."
