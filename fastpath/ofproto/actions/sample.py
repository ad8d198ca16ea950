"""Actions for watchers: sample (IPFIX) and fin_timeout."""

from __future__ import annotations

from fastpath.errors import ParseError
from fastpath.ofproto import numbers
from fastpath.ofproto.actions.base import Action, ParseContext, PortNumbers
from fastpath.ofproto.actions.output import OFPP_ANY, format_port
from fastpath.ofproto.lexer import key_values
from fastpath.value import value


@value
class Sample(Action):
    """Report *probability* of 65536 packets to a set of collectors."""

    probability: int
    collector_set_id: int = 0
    obs_domain_id: int = 0
    obs_point_id: int = 0
    sampling_port: int = OFPP_ANY
    direction: str = ""             # "ingress", "egress" or neither

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> Sample:
        values: dict[str, int] = {}
        sampling_port, direction = OFPP_ANY, ""
        for key, given in key_values(arg):
            if key == "probability":
                values[key] = numbers.u16(given, key)
                if not values[key]:
                    raise ParseError(f'invalid probability value "{given}"')
            elif key in ("collector_set_id", "obs_domain_id", "obs_point_id"):
                values[key] = numbers.u32(given)
            elif key == "sampling_port":
                port = numbers.port(given, ctx.ports)
                if port is None:
                    raise ParseError(f"{given}: unknown port")
                sampling_port = port
            elif key in ("ingress", "egress"):
                direction = key
            else:
                raise ParseError(f'invalid key "{key}" in "sample" argument')
        if "probability" not in values:
            raise ParseError('non-zero "probability" must be specified on sample')
        return cls(**values, sampling_port=sampling_port, direction=direction)

    def format(self, ports: PortNumbers = None) -> str:
        port = ""
        if self.sampling_port != OFPP_ANY:
            port = f",sampling_port={format_port(self.sampling_port, ports)}"
        direction = f",{self.direction}" if self.direction else ""
        return (f"sample(probability={self.probability},collector_set_id={self.collector_set_id},"
                f"obs_domain_id={self.obs_domain_id},obs_point_id={self.obs_point_id}{port}{direction})")


@value
class FinTimeout(Action):
    """When a TCP connection closes, lower the rule's timeouts to these seconds (0 = leave alone)."""

    idle_timeout: int = 0
    hard_timeout: int = 0

    @classmethod
    def parse(cls, arg: str, ctx: ParseContext) -> FinTimeout:
        values: dict[str, int] = {}
        for key, given in key_values(arg):
            if key not in ("idle_timeout", "hard_timeout"):
                raise ParseError(f"invalid key '{key}' in 'fin_timeout' argument")
            values[key] = numbers.u16(given, key)
        return cls(**values)

    def format(self, ports: PortNumbers = None) -> str:
        timeouts = (("idle_timeout", self.idle_timeout), ("hard_timeout", self.hard_timeout))
        parts = [f"{name}={seconds}" for name, seconds in timeouts if seconds]
        return f"fin_timeout({','.join(parts)})"
