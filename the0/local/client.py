"""How the command line finds the control API that `the0 local start` brought up."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from the0.errors import Forbidden, InvalidInput
from the0.files import write_atomic
from the0.local.paths import LocalPaths


@dataclass(frozen=True)
class Client:
    """Base address (no trailing slash) and bearer token of a control API."""

    url: str
    token: str


def write_client(paths: LocalPaths, client: Client) -> None:
    """Remember it for the command line, readable by its owner alone."""
    write_atomic(paths.client, json.dumps(asdict(client)).encode())


def find_client(environ: Mapping[str, str] = os.environ) -> Client | None:
    """What the last `the0 local start` wrote; None where there was none."""
    path = LocalPaths.of(environ).client
    try:
        found = json.loads(path.read_text())
        return Client(str(found["url"]), str(found["token"]))
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise Forbidden(
            f"{path} cannot be read: it holds a token, for the user alone who ran "
            "`the0 local start`. Run this as that user, or give --url and --token."
        ) from error
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidInput(f"{path} is broken; run `the0 local start` to write it anew.") from error
