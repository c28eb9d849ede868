from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agent import Agent, agent_below
from tests.support.fake_gateway import LAUNCH, TOKEN
from the0.agent.client import Credentials, Gateway
from the0.agent.job import Job
from the0.agent.launch import parse
from the0.agent.paths import Paths


@pytest.fixture
def agent() -> Iterator[Agent]:
    # Not tmp_path: the path of a Unix socket may have 107 characters.
    with tempfile.TemporaryDirectory() as root, agent_below(Path(root)) as agent:
        yield agent


@pytest.fixture
def job(agent: Agent) -> Job:
    """The launch of `agent` as a fork of it sees it."""
    paths = Paths(str(agent.root))
    gateway = Gateway(paths.socket, Credentials(LAUNCH, TOKEN))
    return Job(paths, gateway, parse(agent.gateway.document))
