"""NATS: events about bots in, live log text out. Both keep themselves connected for ever."""

from the0.bot_events import BotEvent, parse_event
from the0.events.publisher import LogPublisher, log_subject
from the0.events.source import EventSource

__all__ = ["BotEvent", "EventSource", "LogPublisher", "log_subject", "parse_event"]
