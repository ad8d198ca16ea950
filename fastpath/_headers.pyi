"""The commonest rewrites, each in one pass over a batch of ordinary packets."""

from typing import Literal

def set_form(form: Literal["batch", "plain"]) -> None: ...
