"""Ofproto: one bridge -- its tables, its ports and its MAC table -- as translation and owners see it.

Implements ``xlate.context.BridgeView``.  Every change that may alter a translation marks the bridge
dirty at its backer; ``revalidate`` then checks the flows that came through it.  Knows no datapath
beyond port numbers, no clock and no thread: the owner of the Switch calls it and passes *now*.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, cast

from fastpath._addrules import standard_of
from fastpath._flow import FlowKey
from fastpath.dpif.provider import Features
from fastpath.errors import ConfigError, ExistsError, NotFoundError, OpenFlowError
from fastpath.ofproto import group_log
from fastpath.ofproto.actions.action_set import first_disallowed
from fastpath.ofproto.actions.base import Action, ActionList
from fastpath.ofproto.actions.output import OFPP_NORMAL, Output
from fastpath.ofproto.actions.output import Group as GroupAction
from fastpath.ofproto.actions.traits import NAMES, NESTS, TRAITS
from fastpath.ofproto.admission import Admission, check_group
from fastpath.ofproto.backer import EVERYTHING, Backer, tables_of
from fastpath.ofproto.beyond import refuse_actions, refuse_match
from fastpath.ofproto.events import FlowRemoved, PortChange, PortStatus, TableStatus
from fastpath.ofproto.fail_open import FAIL_OPEN_PRIORITY, FailOpen
from fastpath.ofproto.flow_change import Change, FlowModResult, FlowUpdate, removal
from fastpath.ofproto.flow_mod import Command, FlowMod, adding
from fastpath.ofproto.flow_tables import FlowTables
from fastpath.ofproto.flow_text import parse_flow
from fastpath.ofproto.group import Group, GroupCommand, GroupMod, GroupModResult, GroupTable
from fastpath.ofproto.in_band import InBand, InBandRules
from fastpath.ofproto.internal import InternalRules, check_writable
from fastpath.ofproto.learning import MacTable
from fastpath.ofproto.match import Match, sets_hidden
from fastpath.ofproto.meter import Meter, MeterMod, MeterTable
from fastpath.ofproto.mirrors import MirrorTable
from fastpath.ofproto.plain_adds import SPECIAL
from fastpath.ofproto.port import VLAN_MAX, OfPort
from fastpath.ofproto.recirc import RecircTable
from fastpath.ofproto.references import References, named
from fastpath.ofproto.rule import SEND_FLOW_REM, RemovedReason, Rule
from fastpath.ofproto.snooping import SnoopTable
from fastpath.ofproto.support import refuse_unsupported
from fastpath.ofproto.table import Miss
from fastpath.ofproto.tlv_table import TlvMapping, TlvTable, check_mappings
from fastpath.ofproto.tunnel_options import fitted, options_named
from fastpath.ofproto.xlate.context import OFPP_LOCAL, OFPP_MAX, RuleView, VlanConfig
from fastpath.tlv import Options, present
from fastpath.value import replace

_log, _actions_log = logging.getLogger("fastpath.ofproto"), logging.getLogger("fastpath.ofp_actions")
for _logger in (_log, _actions_log):
    _logger.addHandler(logging.NullHandler())
NO_ODP_PORT = 0xffffffff
INTERNAL_TABLE = 254                # holds what translation needs for itself; no user changes it
FRAG_HANDLING = ("normal", "drop", "nx-match")
FEW_RULES = 64                      # rules that changed are compared with flows one by one


def flood_set(vlans: Iterable[int]) -> frozenset[int]:
    """VLANs in which nothing is learned.  Raises ConfigError for what is no VLAN."""
    if isinstance(vlans, int | str):
        raise ConfigError(f"flood_vlans {vlans!r}: expected several VLANs, such as [{vlans}]")
    flood = frozenset(vlans)
    for vid in flood:
        if type(vid) is not int or not 0 <= vid <= VLAN_MAX:
            raise ConfigError(f"flood VLAN {vid!r}: not between 0 and {VLAN_MAX}")
    return flood


class WatchedMacs(MacTable):
    """MAC table that tells its backer what translations ask it and which answers change, so that a
    new address costs a check of the flows that asked for it and of no others."""

    def __init__(self, bridge: str, backer: Backer, *, max_entries: int, aging_s: float) -> None:
        super().__init__(max_entries=max_entries, aging_s=aging_s)
        self._bridge = bridge
        self._asked, self._dirty = backer.asked_macs, backer.dirty_macs

    def lookup(self, mac: int, vlan: int) -> int | None:
        self._asked.append((self._bridge, vlan, mac))
        return super().lookup(mac, vlan)

    def is_locked(self, mac: int, vlan: int, now: float) -> bool:
        self._asked.append((self._bridge, vlan, mac))
        return super().is_locked(mac, vlan, now)

    def update(self, mac: int, vlan: int, port: int, now: float, *, gratuitous: bool = False,
               bond: bool = False) -> bool:
        changed = super().update(mac, vlan, port, now, gratuitous=gratuitous, bond=bond)
        if changed:
            self._dirty.add((self._bridge, vlan, mac))
        return changed

    def add_static(self, mac: int, vlan: int, port: int) -> bool:
        self._dirty.add((self._bridge, vlan, mac))
        return super().add_static(mac, vlan, port)

    def del_static(self, mac: int, vlan: int) -> bool:
        self._dirty.add((self._bridge, vlan, mac))
        return super().del_static(mac, vlan)

    def _remove(self, key: tuple[int, int]) -> None:
        self._dirty.add((self._bridge, *key))
        super()._remove(key)


class Ofproto:
    """One bridge.  Attributes named in BridgeView are read by translation."""

    def __init__(self, name: str, backer: Backer, *, seed: int = 0, mac_aging: float = 300.0,
                 max_macs: int = 8192, flood_vlans: frozenset[int] = frozenset(), now: float = 0.0) -> None:
        self.name = name
        self.backer = backer
        self.tables = FlowTables(seed=seed)
        self.groups = GroupTable(strict=backer.strict)
        self.meters = MeterTable(backer.dpif, backer.meter_numbers, strict=backer.strict)
        self.references = References(self.tables)
        self.admission = Admission()
        self.macs = WatchedMacs(name, backer, max_entries=max_macs, aging_s=mac_aging)
        self.macs.set_flood_vlans(flood_vlans)
        self.snooping: SnoopTable | None = None
        self.mirrors = MirrorTable()
        self.internal = InternalRules(now)
        self.failing = FailOpen(self)
        self._fail_open_rule: Rule | None = None
        self._in_band = InBandRules()
        self.recirc: RecircTable = backer.recirc
        self.forward_bpdu = False
        self.exports_flows = self.is_closed = False
        self.frag_handling = "normal"
        self.origin: object | None = None       # who has changes made, told with the events of them
        self.tlvs = TlvTable()
        self.asks_on_miss: Callable[[], bool] = lambda: False   # whether a controller of before 1.3 is there
        self.watchers: list[Callable[[list[FlowUpdate]], object]] = []      # told what becomes of rules
        self._ports: dict[int, OfPort] = {}
        self._by_name: dict[str, OfPort] = {}
        self._numbers: dict[str, int] | None = None
        self._flood_order: tuple[OfPort, ...] | None = None     # None: sorted when asked for
        self._free_from = 1             # all numbers below are in use
        backer.add_bridge(self)

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"bridge {self.name!r} is part of a Switch: neither it nor what refers to it, such "
                        "as a Trace or a paused PacketIn, can be copied or pickled")

    # -- what translation asks ---------------------------------------------------------------------

    @property
    def features(self) -> Features:
        """What the datapath can do, as far as it may be used."""
        return self.backer.features

    @property
    def options(self) -> Options:
        """Where tunnel options lie in the flow key."""
        return self.tlvs.places

    def lookup(self, table_id: int, key: FlowKey, wc: FlowKey | None) -> Rule | None:
        """Best rule of one table, un-wildcarding into *wc*.  Counted by ``count_lookups``: not every
        translation is for a packet."""
        table = self.tables.get(table_id)
        if table is None:
            return None
        rule: Rule | None = table.classifier.lookup(key, wc, self.tables.version)
        return rule

    def rules_of(self, table_id: int) -> Iterable[Rule]:
        """Rules of one table, in no order."""
        return self.tables.get(table_id) or ()

    def miss(self, table_id: int, *, has_port: bool = True) -> Miss:
        """What becomes of a packet that no rule of a table matches.  After the last table the controller is
        asked (OpenFlow 1.1 section 4.1.1).  *has_port*: it came by a port there is; as in the reference, for
        others it is asked only where nobody said what to do."""
        table = self.tables.get(table_id)
        miss = Miss.DEFAULT if table is None else table.miss
        ends = miss is Miss.CONTINUE and table_id >= INTERNAL_TABLE - 1
        if miss is Miss.DEFAULT:
            return Miss.CONTROLLER if self.asks_on_miss() else miss
        asks = ends or miss is Miss.CONTROLLER
        return (Miss.CONTROLLER if has_port else Miss.DROP) if asks else miss

    def count_lookups(self, table_id: int, n: int, *, matched: bool) -> None:
        """Count packets that were looked up in a table, be it one that never had a rule."""
        table = self.tables.table(table_id)
        table.n_lookups += n
        if matched:
            table.n_matched += n

    @property
    def flood_vlans(self) -> frozenset[int]:
        """VLANs in which NORMAL does not learn."""
        return self.macs.flood_vlans

    def export_flows(self, on: bool) -> None:
        """Say whether somebody collects what sample actions report."""
        self.exports_flows = on
        self.touch()

    def set_flood_vlans(self, vlans: Iterable[int]) -> None:
        """Name the VLANs in which NORMAL floods and learns nothing.  Raises ConfigError."""
        self.macs.set_flood_vlans(flood_set(vlans))
        self.touch()

    def port(self, ofp_port: int) -> OfPort | None:
        """Port of a number, None if there is none."""
        return self._ports.get(ofp_port)

    def ports(self) -> Sequence[OfPort]:
        """All ports in the order flooding visits them: LOCAL first, then by number."""
        if self._flood_order is None:
            self._flood_order = tuple(sorted(self._ports.values(),
                                             key=lambda p: (p.ofp_port != OFPP_LOCAL, p.ofp_port)))
        return self._flood_order

    def group(self, group_id: int) -> Group | None:
        """Group of a number, None if there is none."""
        return self.groups.get(group_id)

    def meter(self, meter_id: int) -> int | None:
        """Datapath number of a meter, None if there is none."""
        meter = self.meters.get(meter_id)
        return None if meter is None else meter.number

    def learn(self, mod: FlowMod, limit: int, now: float) -> None:
        """Carry out a learn action's flow mod.  What is there already merely starts its hard timeout anew,
        which is no change to translations."""
        if not self.may_learn(mod, limit):
            return
        if self.has_learned(mod):
            rule = self.tables.find(mod)
            assert rule is not None
            rule.modified = max(rule.modified, now)
        else:
            dirty, touched, learned = self.backer.dirty, self.backer.touched, self.backer.learned
            before, rules = dirty.pop(self, 0), touched.pop(self, None)
            try:
                result = self.apply(mod, now)
            finally:
                learned[self] = learned.get(self, 0) | dirty.pop(self, 0) | tables_of(touched.pop(self, ()))
                if before:
                    dirty[self] = before
                if rules:
                    touched[self] = rules
            self.removed(((gone, RemovedReason.DELETE) for gone in result.removed), now)
            self.removed(((gone, RemovedReason.EVICTION) for gone in result.evicted), now)

    def may_learn(self, mod: FlowMod, limit: int, waiting: Sequence[FlowMod] = ()) -> bool:
        """Whether *limit* leaves room for a rule.  One that is there with other actions or timeouts counts
        against its own change, as in the reference."""
        check_writable(mod, self.internal)
        table = self.tables.get(mod.table_id)
        if mod in waiting or self.knows(mod):
            return True
        if limit:
            here = table.count_cookie(mod.new_cookie or 0) if table is not None else 0
            new = {m.match for m in waiting if (m.table_id, m.new_cookie) == (mod.table_id, mod.new_cookie)
                   and self.tables.find(m) is None}
            if here + len(new) >= limit:
                return False
        if table is not None and self.tables.find(mod) is None:
            table.make_room()
        return True

    def has_learned(self, mod: FlowMod) -> bool:
        """Whether learning *mod* would merely renew a rule."""
        rule = self.tables.find(mod)
        return rule is not None and rule.actions == mod.actions and rule.cookie == mod.new_cookie

    def knows(self, mod: FlowMod) -> bool:
        """Whether the rule is there just as *mod* says."""
        rule = self.tables.find(mod)
        return rule is not None and (
            rule.actions, rule.cookie, rule.idle_timeout, rule.hard_timeout, rule.importance, rule.flags) == (
            mod.actions, mod.new_cookie, mod.idle_timeout, mod.hard_timeout, mod.importance, mod.flags)

    def shorten(self, rule: RuleView, idle_timeout: int, hard_timeout: int) -> None:
        """Lower a rule's timeouts (fin_timeout)."""
        self.tables.shorten(cast(Rule, rule), idle_timeout=idle_timeout, hard_timeout=hard_timeout)

    # -- ports ---------------------------------------------------------------------------------------

    def port_named(self, name: str) -> OfPort:
        """Port called *name*.  Raises NotFoundError."""
        try:
            return self._by_name[name]
        except KeyError:
            raise NotFoundError(f"bridge {self.name!r} has no port {name!r}") from None

    def port_numbers(self) -> Mapping[str, int]:
        """Numbers by name, for flow text that names ports: one mapping as long as ports are the same."""
        if self._numbers is None:
            self._numbers = {name: port.ofp_port for name, port in self._by_name.items()}
        return self._numbers

    def free_number(self) -> int:
        """Lowest OpenFlow port number not in use.  Raises ConfigError when all are."""
        while self._free_from in self._ports:
            self._free_from += 1
        if self._free_from >= OFPP_MAX:
            raise ConfigError(f"bridge {self.name!r}: all {OFPP_MAX - 1} port numbers are in use")
        return self._free_from

    def check_number(self, number: int | None) -> int:
        """*number* if a new port may have it, or the lowest free one for None."""
        if number is None:
            return self.free_number()
        if type(number) is not int or (not 0 < number < OFPP_MAX and number != OFPP_LOCAL):
            raise ConfigError(f"port number {number!r}: not between 1 and {OFPP_MAX - 1}, nor {OFPP_LOCAL} "
                              "for LOCAL")
        if number in self._ports:
            raise ExistsError(f"port number {number}: bridge {self.name!r} has it as "
                              f"{self._ports[number].name!r}")
        return number

    def add_port(self, port: OfPort) -> None:
        """Enter *port*, its numbers chosen.  Raises ExistsError when name or number is taken."""
        if port.name in self._by_name:
            raise ExistsError(f"port {port.name!r}: bridge {self.name!r} has one of that name")
        self.check_number(port.ofp_port)
        self.backer.add_port(self, port)
        self._ports[port.ofp_port] = self._by_name[port.name] = port
        self._ports_changed(port, PortChange.ADD)

    def del_port(self, port: OfPort) -> None:
        """Remove *port* and what was learned about it.  Addresses that were behind it are forgotten in all
        bridges, as in the reference: a station may have been reached through it over patch ports."""
        del self._ports[port.ofp_port], self._by_name[port.name]
        self._free_from = min(self._free_from, port.ofp_port)
        self.backer.del_port(port)
        gone = self.macs.flush_port(port.ofp_port)
        for other in self.backer.bridges.values():
            if other is not self and [place for place in gone if other.macs.forget(*place)]:
                other.touch()
        if self.snooping is not None:
            self.snooping.forget_port(port.ofp_port)
        self.mirrors.forget_port(port.ofp_port)
        self._ports_changed(port, PortChange.DELETE)

    def set_port(self, port: OfPort, *, link_up: bool | None = None, vlan: VlanConfig | None = None,
                 dscps: Mapping[int, int] | None = None, flags: Mapping[str, bool] | None = None) -> None:
        """Change settings of *port*: its link state, its VLANs, the DSCP of what leaves by which queue, flags
        of ``OfPort.configure``; None leaves them as they are."""
        before, was_down = port.told, port.down
        port.configure(flags or {})
        if port.down != was_down and port.admin is not None and not port.admin(not port.down):
            port.down = was_down        # the device would not
        if vlan is not None and vlan != port.vlan:
            port.vlan = vlan
            self.macs.flush_port(port.ofp_port)
            if self.snooping is not None:
                self.snooping.flush_port(port.ofp_port)
        if dscps is not None:
            port.dscps = dscps
        if link_up is not None:
            port.link_up = link_up
        if port.told != before:
            self._ports_changed(port, PortChange.MODIFY, before)
        else:
            self._flood_order = None
            self.touch()

    def odp_port(self, ofp_port: int) -> int:
        """Datapath number of a port, NO_ODP_PORT for those without one."""
        port = self._ports.get(ofp_port)
        return NO_ODP_PORT if port is None or port.odp_port is None else port.odp_port

    def set_frag_handling(self, how: str) -> None:
        """Set what happens to IP fragments: "normal", "drop" or "nx-match"."""
        if how not in FRAG_HANDLING:
            raise ConfigError(f"fragment handling {how!r}: not one of {', '.join(FRAG_HANDLING)}")
        self.frag_handling = how
        self.touch()

    def _ports_changed(self, port: OfPort, change: PortChange,
                       was: tuple[bool, frozenset[str]] | None = None) -> None:
        self._flood_order = self._numbers = None
        self.touch()
        self.backer.events.append(PortStatus(
            self.name, port.ofp_port, port.name, change, *port.told, self.origin, was, port.hw_addr))

    # -- rules ---------------------------------------------------------------------------------------

    def apply(self, mod: FlowMod, now: float) -> FlowModResult:
        """Carry out a flow mod.  FlowRemoved events are the caller's to raise (``removed``), once it
        has brought the counters of the removed rules up to date."""
        change = Change(self.tables, now)
        try:
            self.stage(change, mod)
        except OpenFlowError:
            change.revert()
            raise
        return self.commit(change)

    def stage(self, change: Change, mod: FlowMod) -> None:
        """Make *mod* part of *change*.  Raises OpenFlowError; then the change must be reverted."""
        check_writable(mod, self.internal)
        if mod.command < Command.DELETE:
            self.judge(mod.match, mod.actions)
        elif self.backer.strict:
            refuse_match(mod.match)
            refuse_actions(mod.actions)
        traits = TRAITS.of(mod.actions)
        if traits & NESTS:
            wrong = first_disallowed(mod.actions)
            if wrong is not None:
                _actions_log.warning("disallowed action in action set")
                raise OpenFlowError("OFPBAC_BAD_TYPE", f"{wrong} may not stand in an action set")
        mod = self.placed(mod)
        if traits & (NAMES | NESTS):
            unknown = self.unknown_reference(mod.actions)
            if unknown is not None and self.tables.gives_actions(mod):
                raise unknown
        change.stage(mod)

    def stage_rule(self, change: Change, rule: Rule) -> None:
        """``stage`` the flow mod that adds *rule*, as ``FlowReader.read_to_add`` has it."""
        if (self.backer.strict or TRAITS.of(rule.actions) & (NAMES | NESTS) or self.tlvs
                or rule.mask.meets(SPECIAL)
                or rule.table_id == INTERNAL_TABLE):
            self.stage(change, adding(rule))
        else:
            change.add(rule)

    @property
    def takes_together(self) -> bool:
        """Whether ``stage_rule`` would now only add rules that are plain, and none can be refused."""
        return not (self.backer.strict or self.tlvs.places) and self.tables.are_plain

    @property
    def standard(self) -> object | None:
        """By what rules are judged; None where a rule needs more than to be added (``standard_of``)."""
        return standard_of(self)

    def judge(self, match: Match, actions: ActionList) -> None:
        """Raise OpenFlowError for what no table takes, whatever the values that *match* has: by its mask
        alone, the actions and the ``standard``."""
        if sets_hidden(match):
            _log.warning("%s: (add_flow) only internal flows can set non-default values to hidden fields",
                         self.name)
            raise OpenFlowError("OFPBRC_EPERM", "recirc_id and dp_hash are for rules of the switch's own")
        if self.backer.strict:
            refuse_match(match)
            refuse_actions(actions)
            refuse_unsupported(match, actions, self.backer.features)

    def add_rules(self, rules: Sequence[Rule], now: float | None = None) -> None:
        """Add such rules together, made *now* or, without it, when they say.  They are all there or none."""
        touched = self.tables.add_all(rules, now)
        self.touch_rules(rules, touched)
        if self.tables.vacancies:
            self._tell_vacancies()

    def added(self, rule: Rule, old: Rule | None) -> None:
        """A RuleWriter put *rule* into its table, in the place of *old* if that is not None."""
        self.tables.added(rule, old)
        if self.tables.vacancies:
            self._tell_vacancies()

    def check_known(self, actions: ActionList) -> None:
        """Raise OpenFlowError for *actions* this switch has not, or for options that are not there."""
        if self.backer.strict:
            refuse_actions(actions)
        fitted(actions, self.options, strict=self.backer.strict)

    def placed(self, mod: FlowMod) -> FlowMod:
        """*mod*, a dump filter too, with its tunnel options where the TLV table has them.  Raises
        OpenFlowError for those that are not there."""
        match = mod.match.bound(self.options)
        actions = fitted(mod.actions, self.options, strict=self.backer.strict)
        return mod if match is mod.match and actions is mod.actions else replace(
            mod, match=match, actions=actions)

    def select(self, wanted: FlowMod) -> list[Rule]:
        """Rules that *wanted*, a modify, delete or dump filter, speaks of; who asks for it by number is told
        of the switch's own table."""
        if wanted.table_id == INTERNAL_TABLE:
            return self.internal.of(wanted)
        return self.tables.select(self.placed(wanted))

    def commit(self, change: Change) -> FlowModResult:
        """Let *change* take effect."""
        result = change.commit()
        if self.watchers:
            self._tell_watchers(change.updates())
        if result:
            self.touch_rules([*result.added, *result.modified, *result.removed, *result.evicted,
                              *result.orphaned], change.tables())
        self._tell_vacancies()
        return result

    def configure_table(self, table_id: int, now: float, **settings: Any) -> None:
        """Change settings of a table, as ``Table.configure`` takes them."""
        gone = self.tables.configure(table_id, **settings)
        self.touch()
        self._tell_gone(gone)
        self.removed(gone, now)
        self._tell_vacancies()

    def _tell_watchers(self, updates: list[FlowUpdate]) -> None:
        if updates:
            for watcher in list(self.watchers):
                watcher(updates)

    def _tell_gone(self, gone: Iterable[tuple[Rule, RemovedReason]]) -> None:
        """Tell who watches of rules that no flow mod removed."""
        if self.watchers:
            self._tell_watchers([removal(rule, reason) for rule, reason in gone])

    def _tell_vacancies(self) -> None:
        for table_id, reason in self.tables.vacancies:
            table = self.tables.table(table_id)
            assert table.vacancy is not None
            self.backer.events.append(TableStatus(self.name, table_id, reason, table.vacancy,
                                                  table.free_percent))
        self.tables.vacancies.clear()

    def unknown_reference(self, actions: Iterable[Action]) -> OpenFlowError | None:
        """The refusal of *actions* that name a group or a meter there is none of; None if all are there."""
        for a in named(actions):
            if isinstance(a, GroupAction):
                if self.groups.get(a.group_id) is None:
                    return OpenFlowError("OFPBAC_BAD_OUT_GROUP", f"there is no group {a.group_id}")
            elif self.meter(a.meter_id) is None:
                return OpenFlowError("OFPMMFC_INVALID_METER", f"there is no meter {a.meter_id}")
        return None

    def remove_rules(self, rules: Iterable[Rule], reason: RemovedReason, now: float) -> None:
        """Take rules out for reasons of ours, their counters up to date."""
        gone = [(rule, reason) for rule in rules if not rule.removed]
        for rule, _reason in list(gone):
            gone += [(learned, RemovedReason.DELETE) for learned in self.tables.remove(rule)]
        if gone:
            self.touch(tables_of(rule for rule, _reason in gone))
            self._tell_gone(gone)
            self.removed(gone, now)

    def all_rules(self) -> list[Rule]:
        """Rules of all tables, and those nobody sees: of table 0, above priority 65535, and of table 254."""
        hidden = [rule for table in self.tables.tables() for rule in table.hidden]
        return [*hidden, *self.tables.rules(), *self.internal]

    # What its fail mode does (``fail_open.Host``); counters of rules must be up to date.

    def flush(self, now: float) -> None:
        """Remove all rules but the hidden ones, all groups and all meters."""
        self.remove_rules(list(self.tables.rules()), RemovedReason.DELETE, now)
        self.groups.apply(GroupMod(GroupCommand.DELETE), now)
        for meter in self.meters:
            self.meters.forget(meter)
        self.touch()

    def add_normal(self, now: float) -> None:
        """Add the rule that makes an empty bridge a learning switch."""
        self.apply(parse_flow("priority=0,actions=NORMAL"), now)

    def fail_open(self, on: bool, now: float) -> None:
        """Add the hidden rule that does so, or remove it."""
        table = self.tables.table(0)
        if on:
            self._fail_open_rule = Rule(Match(), FAIL_OPEN_PRIORITY, (Output(OFPP_NORMAL),), now=now)
            table.hide(self._fail_open_rule)
        elif self._fail_open_rule is not None:
            table.unhide(self._fail_open_rule)
            self._fail_open_rule = None
        self.tables.publish(())
        self.touch()

    @property
    def is_in_band(self) -> bool:
        """Whether packets may be those of connections to its controllers."""
        return bool(self._in_band)

    @property
    def in_band(self) -> InBand:
        """What the hidden rules are made of by which controllers are reached."""
        return self._in_band.wanted

    def set_in_band(self, wanted: InBand, now: float) -> None:
        """Have the hidden rules by which controllers are reached; counters must be up to date."""
        if self._in_band.set(wanted, self.tables.table(0), now):
            self.tables.publish(())
            self.touch()

    def apply_group(self, gm: GroupMod, now: float) -> GroupModResult:
        """Carry out a group mod.  Rules that use a group it deletes are the caller's to remove
        (``references``), once it has brought their counters up to date."""
        check_group(gm)
        if self.backer.strict:
            for bucket in gm.buckets:
                refuse_actions(bucket.actions)
        result = self.groups.apply(gm, now)
        for group in result.added:
            group_log.made(group)
        if result:
            self.touch()
        return result

    def add_tlvs(self, mappings: Iterable[TlvMapping]) -> None:
        """Say which tunnel options further fields stand for.  Raises OpenFlowError, with nothing changed, if
        one cannot be added."""
        self.tlvs = self.tlvs.added(mappings)
        self.touch()

    def del_tlvs(self, mappings: Iterable[TlvMapping] | None = None) -> None:
        """Forget what the fields of *mappings* stand for, None for all.  Raises OpenFlowError if a rule
        names one."""
        gone = set(self.options)
        if mappings is not None:
            mappings = tuple(mappings)
            check_mappings(mappings)
            gone &= {mapping.index for mapping in mappings}
        if gone:
            used = self._options_in_use() & gone
            if used:
                raise OpenFlowError("NXTTMFC_INVALID_TLV_DEL", f"rules name tun_metadata{min(used)}")
            self.tlvs = self.tlvs.without(gone)
            self.touch()

    def _options_in_use(self) -> set[int]:
        used: set[int] = set()
        for rule in self.tables.rules():
            used.update(place.index for place in present(rule.match.options, rule.match.mask))
            used |= options_named(rule.actions)
        return used

    def put_meter(self, mm: MeterMod, now: float) -> Meter:
        """Add or modify a meter."""
        meter = self.meters.put(mm, now)
        self.touch()            # what goes to the controller may go through it
        return meter

    def forget_meter(self, meter: Meter) -> None:
        """Delete a meter that no rule names any more, but for its datapath's number (``MeterTable.release``),
        which flows go on using until they are settled."""
        self.meters.forget(meter)
        self.touch()

    @staticmethod
    def wants_removed(rules: Iterable[Rule]) -> bool:
        """Whether any of *rules* asked for a FlowRemoved."""
        return any(rule.flag_bits & SEND_FLOW_REM for rule in rules)

    def removed(self, rules: Iterable[tuple[Rule, RemovedReason]], now: float) -> None:
        """Raise FlowRemoved for those of *rules* that asked for it."""
        for rule, reason in rules:
            if rule.flag_bits & SEND_FLOW_REM:
                self.backer.events.append(FlowRemoved(self.name, rule, reason, now - rule.created))

    # -- time ----------------------------------------------------------------------------------------

    def touch(self, tables: int = EVERYTHING) -> None:
        """Something changed that translations may depend on: rules of *tables*, a set of bits, or more."""
        self.backer.dirty[self] = self.backer.dirty.get(self, 0) | tables
        self.backer.n_changes += 1

    def touch_rules(self, rules: Sequence[Rule], tables: Iterable[int] | None = None) -> None:
        """The same for rules that came, went or have other actions; *tables* are theirs, if that is known."""
        if tables is not None and len(rules) > FEW_RULES:
            self.touch(sum(1 << table_id for table_id in tables))
            return
        waiting = self.backer.touched.setdefault(self, [])
        waiting += rules
        self.backer.n_changes += 1
        if len(waiting) > FEW_RULES:            # looking at flows for each costs more than checking the flows
            del self.backer.touched[self]
            self.touch(tables_of(waiting))

    def next_deadline(self) -> float:
        """When ``wake`` next has something to do, as far as known; inf for never."""
        timed = (self.tables, self.macs, self.failing, self.snooping or self.macs)
        return min(one.next_deadline() for one in timed)

    def wake(self, now: float) -> None:
        """Remove rules and MAC entries whose time is up, whose counters must be up to date; fail open."""
        expired = self.tables.expire(now)
        if expired:
            self.touch(tables_of(rule for rule, _reason in expired))
            self._tell_gone(expired)
            self.removed(expired, now)
            self._tell_vacancies()
        self.macs.expire(now)
        if self.snooping is not None:
            self.snooping.expire(now)
        self.failing.wake(now)

    def close(self) -> None:
        """Leave the backer; the ports must be gone."""
        self.is_closed = True
        for meter in self.meters:
            self.meters.forget(meter)
        self.meters.release()
        self.backer.del_bridge(self)
