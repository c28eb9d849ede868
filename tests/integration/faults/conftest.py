"""The fault tests use a whole runner with real parts."""

from tests.support.runner_fixtures import services, site

__all__ = ["services", "site"]
