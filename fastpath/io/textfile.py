"""Text files that users write: read whole, and said so in one line when they are not text."""

from __future__ import annotations

from pathlib import Path

from fastpath.errors import FormatError


def read_text(path: str | Path) -> str:
    """Contents of a UTF-8 file, a byte order mark left out.  Raises FormatError for what is not text."""
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: byte {error.start} is not UTF-8 text") from None
