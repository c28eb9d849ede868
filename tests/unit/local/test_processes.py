from __future__ import annotations

from the0.config import bootstrap
from the0.settings_sources import without_settings


def test_what_the_supervisor_passes_on_sets_nothing() -> None:
    variables = {"THE0_API__PORT": "9400", "MINIO_SSL": "1", "BOT_MEMORY_LIMIT_MB": "99"}
    others = {"PATH": "/bin", "THE0_LOCAL_DIR": "/x", "DOCKER_HOST": "unix:///d.sock"}
    settings, _ = bootstrap(environ=variables)
    assert settings.api.port == 9400
    assert without_settings({**variables, **others}, settings.sections) == others
