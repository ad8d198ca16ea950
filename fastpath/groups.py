"""Groups and meters of a Bridge, as a program handles them; the part of ``Bridge`` that is about them.

Text is what ovs-ofctl takes and prints: ``br.add_group("group_id=1,type=all,bucket=output:a")``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fastpath.arguments import checked
from fastpath.dpif.provider import MeterStats
from fastpath.errors import ParseError
from fastpath.io.textfile import read_text
from fastpath.ofproto import group_text, meter_text
from fastpath.ofproto.actions.versions import OF15
from fastpath.ofproto.admission import check_group
from fastpath.ofproto.group import Group, GroupCommand, GroupMod
from fastpath.ofproto.meter import Meter, MeterCommand, MeterMod
from fastpath.ofproto.rule import RemovedReason, Rule
from fastpath.part import BridgePart
from fastpath.value import replace


@checked
class GroupsAndMeters(BridgePart):
    """What a Bridge can do with its groups and meters."""

    # -- groups ----------------------------------------------------------------------------------------

    def add_group(self, group: str | GroupMod) -> Group:
        """Add a group; *group* as ovs-ofctl takes it.  Ports may be named.  Raises OpenFlowError if there
        is one of that number."""
        return self._group_mod(group, GroupCommand.ADD)[0]

    def add_groups(self, groups: Iterable[str | GroupMod] | str | Path, *, name: str = "groups") -> int:
        """Add many: from an iterable, a text with a group a line, or a Path of such a file.  Lines may
        begin with ``delete`` and the like.  If the text of one is wrong, none is added."""
        if isinstance(groups, Path):
            groups, name = read_text(groups), str(groups)
        if isinstance(groups, str):
            groups = groups.splitlines()
        mods: list[GroupMod] = []
        numbers = self.ofproto.port_numbers()
        for line, group in enumerate(groups, 1):
            if isinstance(group, str):
                try:
                    mods += group_text.parse_group_mods([group], ports=numbers, name="")
                except ParseError as error:
                    raise ParseError(f"{name}:{line}: {str(error).removeprefix(':1: ')}") from None
            else:
                check_group(group)
                mods.append(group)
        with self._lock:
            for mod in mods:
                self._do_group(mod)
        return len(mods)

    def mod_group(self, group: str | GroupMod, *, may_create: bool = False) -> Group:
        """Put another group in the place of one, its counters starting again from 0; with *may_create*
        there need not be one."""
        return self._group_mod(group, GroupCommand.ADD_OR_MOD if may_create else GroupCommand.MODIFY)[0]

    def insert_buckets(self, group: str | GroupMod) -> Group:
        """Give a group more buckets: ``group_id=1,command_bucket_id=last,bucket=output:2``."""
        return self._group_mod(group, GroupCommand.INSERT_BUCKET)[0]

    def remove_buckets(self, group: str | GroupMod) -> Group:
        """Take buckets away: ``group_id=1,command_bucket_id=all``, ``first``, ``last`` or the id of one."""
        return self._group_mod(group, GroupCommand.REMOVE_BUCKET)[0]

    def del_groups(self, group: str | GroupMod = "") -> list[Group]:
        """Remove a group, ``group_id=1``, or all, and the rules that name it; return what is gone."""
        return self._group_mod(group, GroupCommand.DELETE)

    def _group_mod(self, group: str | GroupMod, command: GroupCommand) -> list[Group]:
        with self._lock:
            if isinstance(group, str):
                group = group_text.parse_group_mod(group, command, ports=self.ofproto.port_numbers())
            check_group(group)
            return self._do_group(replace(group, command=command))

    def apply_group(self, mod: GroupMod) -> list[Group]:
        """Carry out a group mod of any command; return the group made, or for a delete those removed."""
        with self._lock:
            return self._do_group(mod)

    def _do_group(self, mod: GroupMod) -> list[Group]:
        """Carry out one group mod; return the group made, or for a delete those removed."""
        ofproto, now = self.ofproto, self.switch.now
        result = ofproto.apply_group(mod, now)
        if result.deleted:
            rules = ofproto.references.of_groups(group.group_id for group in result.deleted)
            self._remove_rules(rules, RemovedReason.GROUP_DELETE)
        return result.added or result.removed

    def _remove_rules(self, rules: list[Rule], reason: RemovedReason) -> None:
        if self.ofproto.wants_removed(rules):
            self.switch.revalidator.push()          # flows still hold the rules: counters become final
        self.ofproto.remove_rules(rules, reason, self.switch.now)
        self.switch.announce()

    def groups(self) -> list[Group]:
        """Groups by number, counters up to date."""
        with self._lock:
            self.switch.push_stats()
            return list(self.ofproto.groups)

    def dump_groups(self, *, version: int = OF15, names: bool = False) -> str:
        """Groups as text, a line each, as ``ovs-ofctl dump-groups`` prints them over a version of
        OpenFlow (as numbered on the wire)."""
        with self._lock:
            ports = {number: name for name, number in self.ofproto.port_numbers().items()} if names else None
            return "\n".join(group_text.format_group(group, version, ports=ports)
                             for group in self.ofproto.groups)

    def dump_group_stats(self) -> str:
        """Counters of groups and buckets, a line each, as ``ovs-ofctl dump-group-stats`` prints them."""
        with self._lock:
            return "\n".join(
                group_text.format_group_stats(group, len(self.ofproto.references.of_group(group.group_id)),
                                              self.switch.now) for group in self.groups())

    def dump_group_features(self) -> str:
        """What groups can do, as ``ovs-ofctl dump-group-features`` prints it."""
        return group_text.format_group_features(self.ofproto.groups.max_groups)

    # -- meters ----------------------------------------------------------------------------------------

    def add_meter(self, meter: str | MeterMod) -> Meter:
        """Add a meter: ``meter=1,pktps,band=type=drop,rate=100``, as ovs-ofctl takes it.  Raises
        OpenFlowError if there is one of that number."""
        return self._put_meter(meter, MeterCommand.ADD)

    def mod_meter(self, meter: str | MeterMod) -> Meter:
        """Change a meter; it keeps its age and counts from 0."""
        return self._put_meter(meter, MeterCommand.MODIFY)

    def _put_meter(self, meter: str | MeterMod, command: MeterCommand) -> Meter:
        with self._lock:
            mm = _meter_mod(meter, command)
            return self.ofproto.put_meter(mm, self.switch.now)

    def apply_meter(self, mod: MeterMod) -> Meter:
        """Carry out a meter mod that adds or modifies."""
        return self._put_meter(mod, mod.command)

    def del_meters(self, meter: str | MeterMod = "meter=all") -> list[Meter]:
        """Remove a meter, ``meter=1``, or all, and the rules that name it; return what is gone."""
        with self._lock:
            mm = _meter_mod(meter, MeterCommand.DELETE)
            ofproto = self.ofproto
            gone = ofproto.meters.find(mm.meter_id)
            if gone:
                self._remove_rules(ofproto.references.of_meters(m.meter_id for m in gone),
                                   RemovedReason.METER_DELETE)
                for m in gone:
                    ofproto.forget_meter(m)
                self.switch.release_meters()
            return gone

    def meters(self) -> list[Meter]:
        """Meters by id, those with names last."""
        with self._lock:
            return list(self.ofproto.meters)

    def meter_stats(self, meter: Meter) -> MeterStats:
        """What a meter has counted since it was added or changed."""
        with self._lock:
            return self.ofproto.meters.stats(meter)

    def dump_meters(self) -> str:
        """Meters as text, as ``ovs-ofctl dump-meters`` prints them: a line, and one for each band."""
        return "\n\n".join(map(str, self.meters()))

    def dump_meter_stats(self) -> str:
        """Counters of meters and bands, as ``ovs-ofctl meter-stats`` prints them."""
        with self._lock:
            ofproto, now = self.ofproto, self.switch.now
            return "\n\n".join(meter_text.format_meter_stats(
                m, ofproto.meters.stats(m), len(ofproto.references.of_meter(m.meter_id)), now)
                for m in ofproto.meters)

    def dump_meter_features(self) -> str:
        """What meters can do, as ``ovs-ofctl meter-features`` prints it."""
        meters = self.ofproto.meters
        return meter_text.format_meter_features(meters.max_meters, strict=meters.strict)


def _meter_mod(meter: str | MeterMod, command: MeterCommand) -> MeterMod:
    return meter_text.parse_meter_mod(meter, command) if isinstance(meter, str) else meter
