from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import pytest

from tests.unit.plugin.plugin_sources import Install, runtime
from the0.errors import PluginError
from the0.plugin.interfaces import Runtime
from the0.plugin.manager import PluginInfo, PluginManager
from the0.plugin.registry import Registry, claimed_names


def info(manager: PluginManager, distribution: str) -> PluginInfo:
    return next(p for p in manager.plugins() if p.distribution == distribution)


def fault_of(install: Install, source: str) -> str:
    """The fault of a plugin with this source, installed as `broken-one` beside a good one."""
    install("good-one", runtime("good1"))
    install("broken-one", source)
    manager = PluginManager.load()
    broken = info(manager, "broken-one")
    assert broken.status == "broken"
    assert not manager.all_loaded
    assert manager.runtimes.get("good1").name == "good1"
    with pytest.raises(PluginError, match="broken-one"):
        manager.runtimes.get("missing")
    return broken.fault


def test_built_ins_are_listed_like_any_other() -> None:
    manager = PluginManager.load()
    assert manager.schedulers.get("cron").name == "cron"
    assert manager.executors.get("docker").name == "docker"
    cron = next(p for p in manager.plugins() if p.name == "cron")
    assert (cron.distribution, cron.kinds, cron.hooks, cron.status) == (
        "the0",
        ("scheduler",),
        ("the0_register_scheduler",),
        "loaded",
    )


def test_a_plugin_is_found_with_its_aliases(install: Install) -> None:
    install("the0-runtime-made", runtime("made1", "made", "m"))
    manager = PluginManager.load()
    assert manager.runtimes.get("m") is manager.runtimes.get("made1")
    assert "made1" in manager.runtimes.names()
    assert "m" not in manager.runtimes.names()
    found = info(manager, "the0-runtime-made")
    assert (found.version, found.names, found.status) == ("1.2", ("made1",), "loaded")


def test_a_hook_may_give_several_classes_and_a_plugin_several_hooks(install: Install) -> None:
    source = """
        from the0.builtin.cron import CronScheduler
        from the0.plugin import hookimpl
        class A(CronScheduler):
            name = "a"
        class B(CronScheduler):
            name = "b"
        @hookimpl
        def the0_register_scheduler():
            return [A, B]
        @hookimpl
        def the0_register_runtime():
            return []
    """
    install("both", source)
    manager = PluginManager.load()
    assert {"a", "b"} <= set(manager.schedulers.names())
    assert info(manager, "both").hooks == ("the0_register_runtime", "the0_register_scheduler")


def test_a_missing_name_says_what_there_is_and_how_to_get_it(install: Install) -> None:
    install("the0-runtime-made", runtime("made1"))
    manager = PluginManager.load(allow=["the0-runtime-made"])
    with pytest.raises(PluginError) as refused:
        manager.runtimes.get("python3.11")
    assert "made1" in refused.value.message
    assert "pip install the0-runtime-python" in refused.value.message


def test_how_to_get_each_plugin_of_ours_is_known() -> None:
    manager = PluginManager.load()
    every: list[tuple[str, Registry[Any]]] = [
        ("runtime", manager.runtimes),
        ("storage", manager.storages),
    ]
    homes = {one.value: one.dist.name for one in entry_points(group="the0") if one.dist}
    told = set()
    for kind, registry in every:
        for cls in registry.classes():
            home = homes.get(cls.__module__.partition(".")[0], "the0")
            for name in claimed_names(cls) if home != "the0" else ():
                told.add(name)
                with pytest.raises(PluginError, match=f"pip install {home}$"):
                    Registry[Any](kind, ()).get(name)
    assert {"python3.11", "nodejs", "cpp-gcc13", "minio"} <= told


@pytest.mark.parametrize("runtime", ["dotnet8", "scala3", "python4", "minio"])
def test_no_distribution_is_named_that_does_not_have_it(runtime: str) -> None:
    with pytest.raises(PluginError, match="the0 plugin new runtime NAME") as refused:
        Registry[Runtime]("runtime", ()).get(runtime)
    assert "pip install" not in refused.value.message


@pytest.mark.parametrize("name", ["The0.Runtime_Made", "the0-runtime-made"])
def test_names_of_distributions_are_compared_as_pip_does(install: Install, name: str) -> None:
    install("the0_runtime.made", "raise RuntimeError('imported')")
    manager = PluginManager.load(block=[name])
    assert info(manager, "the0_runtime.made").status == "blocked"
    assert info(manager, "the0_runtime.made").fault == ""


def test_block_wins_over_allow_and_is_told(install: Install) -> None:
    install("one", runtime("one1"))
    install("two", runtime("two1"))
    manager = PluginManager.load(allow=["one", "two"], block=["two"])
    assert manager.runtimes.names() == ["one1"]
    with pytest.raises(PluginError, match=r"'two' 1\.2 .*blocked by the settings"):
        manager.runtimes.get("two1")
    with pytest.raises(PluginError, match="'the0'"):
        manager.executors.get("docker")


def test_a_name_in_a_list_that_fits_nothing_is_a_warning(install: Install) -> None:
    install("one", runtime("one1"))
    manager = PluginManager.load(block=["oen"])
    assert [warning for warning in manager.warnings if "'oen'" in warning]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_module", ["cannot be imported", "no_such_module"]),
        ("raise SystemExit(3)", ["cannot be imported", "SystemExit"]),
        ("def broken(:", ["cannot be imported", "SyntaxError"]),
        ("x = 1", ["registers nothing", "@hookimpl"]),
        (
            "from the0.plugin import hookimpl\n"
            "@hookimpl\n"
            "def the0_register_exchange():\n    return None\n",
            ["the0_register_exchange"],
        ),
        (
            "from the0.plugin import hookimpl\n"
            "@hookimpl\n"
            "def the0_register_runtime(settings):\n    return None\n",
            ["the0_register_runtime", "settings"],
        ),
        (
            "from the0.plugin import hookimpl\n"
            "@hookimpl\n"
            "def the0_register_runtime():\n    return 1 / 0\n",
            ["ZeroDivisionError"],
        ),
        (
            "from the0.plugin import hookimpl\n"
            "@hookimpl\n"
            "def the0_register_runtime():\n    return int\n",
            ["int", "no subclass of Runtime"],
        ),
        (
            "from the0.plugin import hookimpl\n"
            "@hookimpl\n"
            "def the0_register_runtime():\n    return None\n",
            ["None", "no subclass of Runtime"],
        ),
        (runtime("made1").replace("    def image(self): ...\n", ""), ["Made", "image"]),
        (runtime("made1") + "\nMade.api_version = 99\n", ["api_version 99", "knows 1"]),
        (runtime("made1") + "\ndel Made.name\n", ["Made", "no name"]),
        (runtime("") + "\n", ["Made", "no name"]),
        (runtime("made1") + "\nMade.aliases = 'text'\n", ["aliases 'text'"]),
        (runtime("made1") + "\nMade.settings = dict\n", ["the0.settings.section"]),
    ],
)
def test_a_fault_is_named_and_costs_only_its_plugin(
    install: Install, source: str, words: list[str]
) -> None:
    fault = fault_of(install, source)
    for word in words:
        assert word in fault


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (runtime("same1"), "runtime 'same1'"),
        (runtime("other1", "same1"), "runtime 'same1'"),
        (runtime("other1", "short"), "runtime 'short'"),
    ],
)
def test_a_name_or_alias_of_two_distributions_names_both(
    install: Install, other: str, what: str
) -> None:
    install("first", runtime("same1", "short"))
    install("second", other)
    manager = PluginManager.load()
    for distribution in ("first", "second"):
        fault = info(manager, distribution).fault
        assert what in fault
        assert "'first'" in fault
        assert "'second'" in fault
    with pytest.raises(PluginError, match="'second'"):
        manager.runtimes.get("same1")
    assert PluginManager.load(block=["second"]).runtimes.get("same1").name == "same1"


def test_one_entry_point_name_in_two_distributions_names_both(install: Install) -> None:
    install("first", runtime("first1"), entry_point="taken")
    install("second", runtime("second1"), entry_point="taken")
    manager = PluginManager.load()
    for distribution in ("first", "second"):
        fault = info(manager, distribution).fault
        assert "'first' and 'second'" in fault
        assert "'taken'" in fault


def test_a_settings_section_of_another_is_refused(install: Install) -> None:
    section = """
from the0.settings import section, setting
@section("{table}")
class Mine:
    x: int = setting(1, "A number.")
Made.settings = Mine
"""
    install("thief", runtime("thief1") + section.format(table="mongo"))
    install("honest", runtime("honest1") + section.format(table="honest"))
    manager = PluginManager.load()
    assert "[mongo]" in info(manager, "thief").fault
    assert "honest" in {section.__section__ for section in manager.sections()}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "code",
    [
        "import time; time.sleep(3600)",
        "while True: pass",
        "import threading; lock = threading.Lock(); lock.acquire(); lock.acquire()",
        """
        import time
        try:
            time.sleep(3600)
        except Exception:
            pass
        """,
    ],
    ids=["sleeps", "counts", "waits", "forgives"],
)
def test_one_that_hangs_at_import_is_set_aside(install: Install, code: str) -> None:
    install("hanging", code)
    install("good-one", runtime("good1"))
    manager = PluginManager.load(allow=["hanging", "good-one"], max_sec=0.5)
    assert "took longer than 0.5 s" in info(manager, "hanging").fault
    assert manager.runtimes.names() == ["good1"]


def test_one_that_hangs_in_its_hook_is_set_aside(install: Install) -> None:
    source = """
        import time
        from the0.plugin import hookimpl
        @hookimpl
        def the0_register_runtime():
            time.sleep(3600)
    """
    install("hanging", source)
    manager = PluginManager.load(allow=["hanging"], max_sec=0.5)
    assert "took longer" in info(manager, "hanging").fault
