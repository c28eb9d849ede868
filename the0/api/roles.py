"""What the roles of this installation say of themselves, asked over their Unix sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from the0.errors import Conflict, InvalidInput, NotFound, The0Error, Unavailable
from the0.models import BotType

ESSENTIAL = ("runner",)
"""Roles without which nothing happens to bots: listed even when they never ran here."""

ROLE_OF = {BotType.REALTIME: "runner", BotType.SCHEDULED: "scheduler"}
"""Which role runs the bots of a type."""

_REFUSALS: Mapping[int, type[The0Error]] = {
    error.http_status: error for error in (InvalidInput, NotFound, Conflict)
}

_TIMEOUT_SEC = 3.0


@dataclass(frozen=True)
class RoleAnswer:
    """What one role said: `status` is the HTTP status, 0 when it does not answer."""

    role: str
    status: int
    text: str

    @property
    def ok(self) -> bool:
        return self.status == httpx.codes.OK

    @property
    def value(self) -> Any:
        """Its JSON; the bare text as `{"message"}` where it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return {"message": self.text}

    @property
    def message(self) -> str:
        """What an answer that is not `ok` says, for a person."""
        value = self.value
        if isinstance(value, dict) and isinstance(value.get("error"), dict):
            value = value["error"]
        return str(value["message"]) if "message" in value else self.text


class Roles:
    """Asks each role that has, or had, a socket in `<state dir>/run`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def ask_all(self, path: str) -> list[RoleAnswer]:
        """The answers of all roles to GET `path`, by name; those that are down included."""
        found = {socket.stem for socket in self._directory.glob("*.sock")}
        names = sorted(found.union(ESSENTIAL))
        return list(await asyncio.gather(*(self.ask(name, path) for name in names)))

    async def ask(
        self, role: str, path: str, *, body: Mapping[str, Any] | None = None
    ) -> RoleAnswer:
        """GET `path`, or POST it where there is a body. Never raises."""
        socket = self._directory / f"{role}.sock"
        # Without TLS, whose certificates would be loaded each time, and without proxies.
        transport = httpx.AsyncHTTPTransport(uds=str(socket), verify=False)
        async with httpx.AsyncClient(
            transport=transport, timeout=_TIMEOUT_SEC, trust_env=False
        ) as client:
            try:
                answer = await client.request(
                    "GET" if body is None else "POST", f"http://{role}{path}", json=body
                )
            except httpx.TransportError as error:
                return RoleAnswer(role, 0, _why(role, error))
        return RoleAnswer(role, answer.status_code, answer.text)

    async def status(self, role: str) -> Mapping[str, Any]:
        """The `/status` of a role; Unavailable when it does not answer."""
        answer = await self.ask(role, "/status")
        if not answer.ok:
            raise Unavailable(answer.message)
        status: Mapping[str, Any] = answer.value
        return status

    async def tell(self, role: str, path: str, bot_id: str) -> bool:
        """Whether `role` took note of `bot_id` at once; else its next pass sees it."""
        answer = await self.ask(role, path, body={"bot_id": bot_id})
        return answer.status in (httpx.codes.OK, httpx.codes.ACCEPTED)

    async def command(self, role: str, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a role answers to a command. A refusal comes as the error that it is, no answer
        as Unavailable."""
        answer = await self.ask(role, path, body=body)
        if answer.status not in (httpx.codes.OK, httpx.codes.ACCEPTED):
            raise _REFUSALS.get(answer.status, Unavailable)(answer.message)
        done: Mapping[str, Any] = answer.value
        return done


def _why(role: str, error: httpx.TransportError) -> str:
    if isinstance(error, httpx.TimeoutException):
        return f"The {role} did not answer within {_TIMEOUT_SEC:g} s."
    return f"The {role} does not run: start it with `the0-host --role {role}`."


def merged_metrics(answers: Iterable[RoleAnswer]) -> bytes:
    """One Prometheus page of several; each sample gets the label `role`."""
    registry = CollectorRegistry()
    registry.register(_Merged([answer for answer in answers if answer.ok]))
    return generate_latest(registry)


class _Merged(Collector):
    def __init__(self, answers: Iterable[RoleAnswer]) -> None:
        self._families: dict[str, Metric] = {}
        for answer in answers:
            for family in text_string_to_metric_families(answer.text):
                merged = self._families.setdefault(
                    family.name, Metric(family.name, family.documentation, family.type)
                )
                for sample in family.samples:
                    labels = {**sample.labels, "role": answer.role}
                    merged.samples.append(sample._replace(labels=labels))

    def collect(self) -> Iterator[Metric]:
        yield from self._families.values()
