"""Fixtures shared by the tests that compare with the reference switch."""

from pair import pair as pair
from reference import reference as reference
