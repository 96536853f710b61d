"""A fixture that the tests of the town share with those of ads."""

from tests.ads.conftest import a_campaign

__all__ = ["a_campaign"]
