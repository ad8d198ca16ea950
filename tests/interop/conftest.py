"""Fixtures shared by the tests that compare with the reference switch."""

from reference import reference as reference
