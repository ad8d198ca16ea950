# Words of the scenarios: what many of them say, in short.

# bridge NAME [SETTING...]: a bridge of dummies with an address of its own.
bridge() {
    local name=$1; shift
    ovs-vsctl add-br "$name" -- set bridge "$name" datapath_type=dummy fail_mode=secure \
        other_config:hwaddr=00:00:00:00:01:0${name#br} "$@"
}

# switch NAME PORT...: the same with dummies pPORT on the ports of these numbers.
switch() {
    local name=$1 arguments=() port; shift
    for port; do
        arguments+=(-- add-port "$name" "p$port" -- set interface "p$port" type=dummy ofport_request="$port")
    done
    bridge "$name" "${arguments[@]}"
}

# key PORT KIND [SRC [DST]]: a packet in terms of the datapath, between hosts 50:54:00:00:00:SRC and :DST,
# of addresses 10.0.0.SRC and 10.0.0.DST.
key() {
    local src=${3:-05} dst=${4:-07} kind=$2 nw
    local eth="in_port($1),eth(src=50:54:00:00:00:$src,dst=50:54:00:00:00:$dst)"
    local nw="eth_type(0x0800),ipv4(src=10.0.0.$((10#$src)),dst=10.0.0.$((10#$dst)),tos=0,ttl=64,frag=no"
    case $kind in
    arp) echo "${eth%dst=*}dst=ff:ff:ff:ff:ff:ff),eth_type(0x0806),arp(sip=10.0.0.$((10#$src)),tip=10.0.0.$((10#$dst)),op=1,sha=50:54:00:00:00:$src,tha=00:00:00:00:00:00)" ;;
    tcp) echo "$eth,$nw,proto=6),tcp(src=8,dst=80),tcp_flags(syn)" ;;
    udp) echo "$eth,$nw,proto=17),udp(src=8,dst=80)" ;;
    icmp) echo "$eth,$nw,proto=1),icmp(type=8,code=0)" ;;
    *) echo "$eth,eth_type($kind)" ;;
    esac
}

# packet PORT KIND [SRC [DST]] [OPTION...]: such a packet comes in by the dummy pPORT.
packet() {
    local what=() ; local port=$1
    while (($#)) && [[ $1 != -* ]]; do what+=("$1"); shift; done
    ovs-appctl netdev-dummy/receive "p$port" "$(key "${what[@]}")" "$@"
}

# told COLUMN PATTERN INTERFACE: until the database is told so of an interface, a while of stopped time at most.
told() {
    local i
    for i in {1..40}; do
        ovs-vsctl get interface "$3" "$1" | grep -q -- "$2" && return
        ovs-appctl time/warp 1000 > /dev/null
        sleep 0.02
    done
}

warp() {
    ovs-appctl time/warp "$@"
}

# quiet COMMAND...: without what it prints when it went well.
quiet() {
    local said
    said=$("$@" 2>&1) || echo "$said"
}

trace() {
    ovs-appctl ofproto/trace "$@"
}

# mark: what the daemon logged up to now is of no interest.  logged PATTERN: what it did since, without handles.
mark() {
    ovs-appctl vlog/reopen
    wc -c < ovs-vswitchd.log > mark
}

logged() {
    ovs-appctl vlog/reopen
    tail -c +$(($(cat mark) + 1)) ovs-vswitchd.log | grep -A 2 -- "$1" | cut -d'|' -f3- | sed 's/\(mega_\)\?ufid:[-0-9a-f]* //g; s/([a-z0-9-]*)|/|/'
}

# hidden BRIDGE: rules that only bridge/dump-flows shows, of table 0, without times.
hidden() {
    ovs-appctl bridge/dump-flows "$1" | grep -v table_id | sed 's/duration=[0-9]*s, //' | sort
}

# until_logged PATTERN: until the daemon logged such a line, or for long.
until_logged() {
    local i
    for i in {1..400}; do
        tail -c +$(($(cat mark) + 1)) ovs-vswitchd.log | grep -q -- "$1" && return
        sleep 0.05
        ovs-appctl vlog/reopen
    done
}

# lines MODULE...: what these modules logged since, without what differs from run to run.
lines() {
    ovs-appctl vlog/reopen
    tail -c +$(($(cat mark) + 1)) ovs-vswitchd.log | cut -d'|' -f3- | grep -E "^($(IFS="|"; echo "$*"))[|]" \
        | sed -E 's/unix#[0-9]+/unix#N/; s/port [0-9]{5}$/port N/'
}

# hear VERSION [ARG...]: an ovs-ofctl monitor of br0 begins; hear_at TARGET ...: of another switch.
# say MESSAGE...: it sends them, in hexadecimal.  hears TEXT: it is there once that was printed.
# n_heard: packets told of by now.  heard: it ends; all it printed.
hear() {
    hear_at br0 "$@"
}

hear_at() {
    local target=$1 version=$2; shift 2
    ovs-ofctl -O "OpenFlow$version" monitor "$target" "$@" --detach --no-chdir --pidfile="$PWD/mon.pid" \
        --unixctl="$PWD/mon.ctl" 2> mon.log
}

say() {
    ovs-appctl -t "$PWD/mon.ctl" ofctl/send "$@"
    ovs-appctl -t "$PWD/mon.ctl" ofctl/barrier > /dev/null
}

hears() {
    local i
    for ((i = 0; i < 400; i++)); do
        grep -q "$1" mon.log && return
        sleep 0.05
    done
    echo "not heard: $1"
}

n_heard() {
    ovs-appctl -t "$PWD/mon.ctl" ofctl/barrier > /dev/null
    grep -c PACKET_IN mon.log
}

heard() {
    ovs-appctl -t "$PWD/mon.ctl" ofctl/barrier > /dev/null
    ovs-appctl -t "$PWD/mon.ctl" exit
    sed '/ECHO/d; s/xid=0x[0-9a-f]*/xid/' mon.log       # probes come with time, of which some is real
}

# table_names: of br0.  name_table NUMBER NAME: by OpenFlow 1.3 and 1.5; how each was refused.
table_names() {
    ovs-ofctl -O OpenFlow15 dump-table-features br0 | grep '^  table'
}

name_table() {
    local v
    for v in 13 15; do
        ovs-ofctl -O OpenFlow$v mod-table br0 "$1" "name:$2" 2>&1 | head -1 | sed 's/xid=0x[0-9a-f]*/xid/'
    done
}

# fill: a flow, a group, a meter and a flow that needs both, in br0.  filled: what there is of them.
fill() {
    ovs-ofctl add-flow br0 in_port=1,actions=2
    ovs-ofctl -O OpenFlow13 add-group br0 group_id=7,type=all,bucket=output:2
    ovs-ofctl -O OpenFlow13 add-meter br0 'meter=1 pktps burst stats bands=type=drop rate=1 burst_size=1'
    ovs-ofctl -O OpenFlow13 add-flow br0 in_port=2,actions=meter:1,group:7
}

filled() {
    ovs-ofctl --no-stats -O OpenFlow13 dump-flows br0
    ovs-ofctl -O OpenFlow13 dump-groups br0
    ovs-ofctl -O OpenFlow13 dump-meters br0
}

# sum HEX: the checksum of the Internet over bytes in hexadecimal.
sum() {
    local hex=$1 n=0 i
    ((${#hex} % 4)) && hex+=00
    for ((i = 0; i < ${#hex}; i += 4)); do n=$((n + 0x${hex:i:4})); done
    while ((n >> 16)); do n=$(((n & 65535) + (n >> 16))); done
    printf %04x $((~n & 65535))
}

# igmp PORT BODY GROUP [SRC [TAG]]: a message of IGMP, whose bytes are BODY with the checksum written "----", comes
# in by pPORT from 10.0.0.SRC to an address, all in hexadecimal; TAG is what a VLAN tag says.
igmp() {
    local body=$2 to=$3 from=${4:-05} head
    body=${body/----/$(sum "${body/----/0000}")}
    head=4500$(printf %04x $((20 + ${#body} / 2)))000000000102----0a0000$from$to
    head=${head/----/$(sum "${head/----/0000}")}
    ovs-appctl netdev-dummy/receive "p$1" "01005e$(printf %06x $((0x$to & 0x7fffff)))5054000000$from${5:+8100$5}0800$head$body"
}

# mld PORT BODY TO [SRC]: the same of MLD, from fe80::SRC.
mld() {
    local body=$2 to=$3 from=fe8000000000000000000000000000${4:-05} length
    length=$(printf %04x $((${#body} / 2)))
    body=${body/----/$(sum "$from$to${length}003a${body/----/0000}")}
    ovs-appctl netdev-dummy/receive "p$1" "3333${to:24}5054000000${4:-05}86dd60000000$(printf %04x $((8 + ${#body} / 2)))0001$from${to}3a00050200000100$body"
}
