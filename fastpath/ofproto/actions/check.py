"""Whether a list of actions makes sense for what its rule matches.

Two degrees, as in the reference.  Setting, moving or pushing a field that a matching packet does
not have is refused.  The old setters (mod_nw_src on a rule that does not say ip) are refused by a
message of OpenFlow 1.1 and up alone: 1.0 allows them and they then do nothing.  In text, which is of
no version, an action that OpenFlow 1.0 cannot express must not stand beside them.
"""

from __future__ import annotations

from collections.abc import Callable

from fastpath.errors import InvalidFlow
from fastpath.fields import BEYOND_WRITABLE
from fastpath.ofproto.actions import legacy, mpls, output, pbb, set_field, vlan
from fastpath.ofproto.actions.balance import Bundle, Multipath
from fastpath.ofproto.actions.base import Action, ActionList
from fastpath.ofproto.actions.ct import Ct, Nat
from fastpath.ofproto.actions.encap import DecNshTtl, Encap
from fastpath.ofproto.actions.instructions import GotoTable, Meter, WriteActions
from fastpath.ofproto.actions.learn import Learn, LearnKind
from fastpath.ofproto.actions.misc import CheckPktLarger, Clone
from fastpath.ofproto.actions.output import OFPP_ANY, OFPP_IN_PORT, OFPP_LOCAL
from fastpath.ofproto.actions.sample import FinTimeout
from fastpath.ofproto.actions.state import CHANGING, MAX_VLANS, HeaderState
from fastpath.ofproto.actions.versions import OF10
from fastpath.ofproto.match import ETH_IP, ETH_IPV6, ETH_MPLS, ETH_PBB, TCP, UDP, Match
from fastpath.ofproto.subfield import VLAN_CFI, Subfield
from fastpath.text import OFPP_MAX

INCONSISTENT = "OFPBAC_MATCH_INCONSISTENT"
TABLE_ALL = 255
METER_MAX = 0xFFFF0000
_RESERVED_MIN = 0xFFF8
ETH_NSH = 0x894F
_ALG_PROTO = {"ftp": TCP, "tftp": UDP}


def check_actions(actions: ActionList, match: Match, *, table_id: int = TABLE_ALL,
                  version: int | None = None) -> None:
    """Raise InvalidFlow, naming the OpenFlow error, if *actions* cannot stand with *match* in *version*, or
    in none."""
    checker = _Checker(table_id)
    checker.check(actions, HeaderState(match), match)
    if checker.only_of10 and (checker.needs_of11 if version is None else version > OF10):
        refuse(INCONSISTENT)
    if checker.bare_vlan_id and checker.needs_of11:
        refuse("OFPBAC_BAD_SET_ARGUMENT")


def is_only_of10(actions: ActionList, match: Match) -> bool:
    """Whether *actions* that may stand with *match* do so in OpenFlow 1.0 alone, where some do nothing."""
    checker = _Checker(TABLE_ALL)
    checker.check(actions, HeaderState(match), match)
    return checker.only_of10


def check_targets(actions: ActionList) -> None:
    """Raise InvalidFlow if one of *actions*, nested ones too, writes a field that none may write."""
    for action in actions:
        match action:
            case (set_field.SetField() | set_field.Load() | set_field.Move() | set_field.Pop() | Multipath()
                  | Bundle() | CheckPktLarger()):
                if action.target is not None and not (action.target.field.writable or sets_type(action)):
                    refuse("OFPBAC_BAD_SET_ARGUMENT")
            case Clone(inner) | WriteActions(inner):
                check_targets(inner)
            case _:
                pass


def check_packet_out(actions: ActionList, match: Match, *, strict: bool = False) -> None:
    """Raise InvalidFlow if *actions* cannot be carried out on a packet of *match*; with *strict*, also if
    there is one that would do nothing."""
    checker = _Checker(TABLE_ALL)
    checker.check(actions, HeaderState(match), match)
    if strict and checker.only_of10:
        refuse(INCONSISTENT)


def refuse(code: str) -> None:
    """Raise the error for OpenFlow error *code*."""
    raise InvalidFlow(code, f"actions are invalid with specified match ({code})")


class _Checker:
    def __init__(self, table_id: int) -> None:
        self.table_id = table_id
        self.only_of10 = False          # some action makes sense in OpenFlow 1.0 only
        self.bare_vlan_id = False       # an id is set without the presence bit that OpenFlow 1.2 and up take
        self.needs_of11 = False         # some action cannot be said in OpenFlow 1.0

    def check(self, actions: ActionList, state: HeaderState, match: Match) -> None:
        for action in actions:
            kind = type(action)
            if kind in _MAKES_SENSE:
                self.only_of10 |= not _MAKES_SENSE[kind](state)
            elif kind is set_field.Load or kind is set_field.SetField:
                self._check_set(action, state)
            else:
                self._check_one(action, state, match)
            if kind in CHANGING:
                state.advance(action)

    def _check_set(self, action: Action, state: HeaderState) -> None:
        assert isinstance(action, set_field.SetField | set_field.Load)
        if not action.target.field.writable and sets_type(action):
            _readable(action.target, state)         # so the packet has it
        else:
            _writable(action.target, state)
        if action.target.field.name == "vlan_vid":
            if not state.vlan:
                refuse(INCONSISTENT)
            if isinstance(action, set_field.SetField) and action.is_exact and not action.value & VLAN_CFI:
                self.bare_vlan_id = True

    def _check_one(self, action: Action, state: HeaderState, match: Match) -> None:
        match action:
            case output.Output(port) | output.OutputTrunc(port):
                if port == OFPP_ANY or OFPP_MAX <= port < _RESERVED_MIN:
                    refuse("OFPBAC_BAD_OUT_PORT")
            case output.Enqueue(port):
                if port >= OFPP_MAX and port not in (OFPP_IN_PORT, OFPP_LOCAL):
                    refuse("OFPBAC_BAD_OUT_PORT")
            case output.Resubmit(ct=True):
                if not state.ct_valid:
                    refuse(INCONSISTENT)
            case output.OutputReg(source) | set_field.Push(source):
                _readable(source, state)
            case set_field.Move(source, target):
                _readable(source, state)
                _writable(target, state)
            case set_field.Pop(target) | Multipath(target=target) | CheckPktLarger(target=target):
                _writable(target, state)
            case Bundle(target=target):
                if target is not None:
                    _writable(target, state)
            case set_field.DeleteField(f):
                if not f.name.startswith("tun_metadata"):
                    refuse("OFPBAC_BAD_ARGUMENT")
            case Ct():
                self._check_ct(action, state, match)
            case Learn():
                _check_learn(action, state)
            case Clone(inner):
                self.check(inner, state.copy(), match)
            case WriteActions(inner):           # of a set, only what no version takes is wrong
                _Checker(self.table_id).check(inner, state.copy(), match)
            case GotoTable(table):
                if table == TABLE_ALL or (self.table_id != TABLE_ALL and table <= self.table_id):
                    refuse("OFPBIC_BAD_TABLE_ID")
            case Meter(meter_id):
                self.needs_of11 = True
                if not 1 <= meter_id <= METER_MAX:
                    refuse("OFPMMFC_INVALID_METER")
            case legacy.SetIpEcn() | legacy.SetIpTtl():
                self._require(state.is_ip)      # these two are loads in OpenFlow 1.0
            case DecNshTtl():
                self._require(state.dl_type == ETH_NSH)
            case vlan.SetVlanVid(_, push) | vlan.SetVlanPcp(_, push):
                self.only_of10 |= not (push or state.vlan)
            case vlan.PushVlan():
                self.needs_of11 = True
                if state.n_vlans >= MAX_VLANS:
                    refuse("OFPBAC_BAD_TAG")
            case mpls.CopyTtlOut() | mpls.CopyTtlIn():
                self.needs_of11 = True
                if not (state.is_ip or state.dl_type in ETH_MPLS):
                    refuse(INCONSISTENT)
            case pbb.PushPbb(ethertype):
                self.needs_of11 = True
                if ethertype != ETH_PBB:
                    refuse("OFPBAC_BAD_ARGUMENT")
            case pbb.PopPbb():
                self.needs_of11 = True
                if state.dl_type != ETH_PBB:
                    refuse(INCONSISTENT)
            case mpls.PushMpls(ethertype):
                if ethertype not in (mpls.ETH_MPLS, mpls.ETH_MPLS_MCAST):
                    refuse("OFPBAC_BAD_ARGUMENT")
                self.only_of10 |= not state.ethernet
            case Encap():
                self.needs_of11 = True
            case _:
                pass

    def _require(self, fits: bool) -> None:
        """Note an action that a rule must not have, but that a packet-out may: there it does nothing."""
        if not fits:
            self.only_of10 = self.needs_of11 = True

    def _check_ct(self, action: Ct, state: HeaderState, match: Match) -> None:
        if not state.is_ip or state.nw_proto != _ALG_PROTO.get(action.alg, state.nw_proto):
            refuse(INCONSISTENT)
        if isinstance(action.zone, Subfield):
            _readable(action.zone, state)
            if action.zone.n_bits != 16:
                refuse("OFPBAC_BAD_SET_LEN")
        if action.commit and state.ct_invalid:
            refuse(INCONSISTENT)
        if not action.commit and any(a != Nat() for a in action.actions):
            refuse("OFPBAC_BAD_ARGUMENT")
        if isinstance(action.zone, Subfield):
            return                              # as in the reference, whatever is inside
        nat = action.nat
        if nat is not None and nat.family and state.dl_type != (ETH_IP if nat.family == 4 else ETH_IPV6):
            refuse(INCONSISTENT)
        self.check(action.actions, state.copy(), match)


def _has_vlan(state: HeaderState) -> bool:
    return state.vlan


def _has_ipv4(state: HeaderState) -> bool:
    return state.dl_type == ETH_IP


def _has_ip(state: HeaderState) -> bool:
    return state.is_ip


def _has_ports(state: HeaderState) -> bool:
    return state.has_ports


def _has_ethernet(state: HeaderState) -> bool:
    return state.ethernet


def _has_mpls(state: HeaderState) -> bool:
    return state.dl_type in ETH_MPLS


def _has_tcp(state: HeaderState) -> bool:
    return state.nw_proto == TCP


# Actions of OpenFlow 1.0 and 1.1, and whether a packet has what they change.
_MAKES_SENSE: dict[type[Action], Callable[[HeaderState], bool]] = {
    vlan.StripVlan:     _has_vlan,
    legacy.SetIpv4Src:  _has_ipv4,
    legacy.SetIpv4Dst:  _has_ipv4,
    legacy.SetIpDscp:   _has_ip,
    legacy.DecTtl:      _has_ip,
    legacy.SetL4Src:    _has_ports,
    legacy.SetL4Dst:    _has_ports,
    legacy.SetEthSrc:   _has_ethernet,
    legacy.SetEthDst:   _has_ethernet,
    mpls.PopMpls:       _has_mpls,
    mpls.SetMplsLabel:  _has_mpls,
    mpls.SetMplsTc:     _has_mpls,
    mpls.SetMplsTtl:    _has_mpls,
    mpls.DecMplsTtl:    _has_mpls,
    FinTimeout:         _has_tcp,
}


def sets_type(action: Action) -> bool:
    """Whether *action* sets one of the fields that say what follows, which OpenFlow allows as a whole."""
    return (isinstance(action, (set_field.SetField, set_field.Load)) and action.target.is_whole
            and action.target.field.name in BEYOND_WRITABLE
            and (isinstance(action, set_field.Load) or action.is_exact))


def _readable(source: Subfield, state: HeaderState) -> None:
    if not state.allows(source.field):
        refuse(INCONSISTENT)


def _writable(target: Subfield, state: HeaderState) -> None:
    if not state.allows(target.field):
        refuse(INCONSISTENT)
    if not target.field.writable:
        refuse("OFPBAC_BAD_SET_ARGUMENT")


def _check_learn(action: Learn, state: HeaderState) -> None:
    """Sources must exist in the packet in hand, targets in what the learned rule matches so far."""
    learned = Match()
    for spec in action.specs:
        if isinstance(spec.source, Subfield):
            _readable(spec.source, state)
        if spec.target is None:
            continue
        target_state = HeaderState(learned)
        if spec.kind is LearnKind.LOAD:
            _writable(spec.target, target_state)
            continue
        _readable(spec.target, target_state)
        if isinstance(spec.source, int):
            value, mask = learned.get(spec.target.field)
            bits = spec.target.limit << spec.target.ofs
            learned.set(spec.target.field, value & ~bits | spec.source << spec.target.ofs, mask | bits)


