"""``fastpath extract``: the flow key of every packet of a capture, as ``ovs-ofctl parse-pcap`` prints it."""

from __future__ import annotations

import argparse

from fastpath._extract import extract
from fastpath.flowtext import format_flow
from fastpath.io.pcapfile import read_pcap


def main(args: argparse.Namespace) -> int:
    """Print one line a packet."""
    for record in read_pcap(args.pcap):
        print(format_flow(extract(record.frame, in_port=args.in_port)))
    return 0
