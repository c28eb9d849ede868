"""The container engine restarts under the runner."""

from __future__ import annotations

from tests.support.engine import private_engine
from tests.support.runner import Installation, eventually, stays


def started(site: Installation) -> dict[str, str]:
    site.put("b0")
    site.put("b1")
    site.start_host()
    eventually(lambda: _running(site) == {"b0", "b1"}, "both run")
    return site.running()


def _running(site: Installation) -> set[str]:
    return {one for one in ("b0", "b1") if site.phase(one) == "running"}


def test_bots_that_the_engine_ended_are_started_once_and_uncounted(
    site: Installation,
) -> None:
    with private_engine([]) as engine:
        engine.load(site.settings["RUNTIME_IMAGE"])
        site.settings["THE0_DOCKER__HOST"] = engine.url
        try:
            before = started(site)
            engine.end()
            engine.start()
            eventually(lambda: _running(site) == {"b0", "b1"}, "both run again")
            after = eventually(lambda: len(now := site.running()) == 2 and now, "two containers")
            assert not set(after.values()) & set(before.values())
            for bot_id in before:
                bot = site.shown(bot_id)
                assert (bot["crashes"], bot["last_exit"]["asked_by"]) == (0, "engine-restart")
            stays(site.running, 5, "once is enough")
        finally:
            site.clear()


def test_with_live_restore_nobody_stops(site: Installation) -> None:
    with private_engine(["--live-restore"]) as engine:
        engine.load(site.settings["RUNTIME_IMAGE"])
        site.settings["THE0_DOCKER__HOST"] = engine.url
        try:
            before = started(site)
            engine.end()
            eventually(lambda: site.ask("/readyz")[0] == 503, "readiness names it")
            engine.start()
            eventually(lambda: site.ask("/readyz")[0] == 200, "it is ready again")
            stays(site.running, 5, "nobody is touched")
            assert site.running() == before
            site.put("b0", v=2)
            eventually(lambda: site.running().get("b0") not in (None, before["b0"]), "it acts")
        finally:
            site.clear()
