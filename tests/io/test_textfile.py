"""Text files: with and without a byte order mark, and what is no text."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastpath.errors import FormatError
from fastpath.io.textfile import read_text


def test_a_byte_order_mark_is_left_out(tmp_path: Path) -> None:
    for name, data in (("plain", b"in_port=1\n"), ("marked", b"\xef\xbb\xbfin_port=1\n")):
        (tmp_path / name).write_bytes(data)
        assert read_text(tmp_path / name) == "in_port=1\n"


def test_what_is_no_text_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "flows"
    path.write_bytes(b"in_port=\xff1")
    with pytest.raises(FormatError, match="flows: byte 8 is not UTF-8 text"):
        read_text(str(path))
