"""What containers talk to: code, state, logs and status over a Unix socket (docs/gateway.md).

:class:`the0.gateway.service.Gateway` serves it; :mod:`the0.gateway.tail` reads the logs that it
keeps. It knows launches only by their files and needs neither MongoDB nor Docker.
"""

from the0.gateway.service import Gateway

__all__ = ["Gateway"]
