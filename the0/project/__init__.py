"""Bot projects: a folder on disk, the archive made of it, and instances of what was deployed.

On the developer's side :func:`load_project` and :func:`pack`; on the host's :func:`read_archive`
(which trusts nothing that the other side checked), :func:`check_instance` and
:func:`check_update`.
"""

from the0.project.archive import ArchivedProject, read_archive
from the0.project.config import BotConfig, read_config
from the0.project.instance import check_instance, check_update
from the0.project.load import Project, load_project
from the0.project.pack import PackedProject, pack
from the0.project.version import Version, parse_version

__all__ = [
    "ArchivedProject",
    "BotConfig",
    "PackedProject",
    "Project",
    "Version",
    "check_instance",
    "check_update",
    "load_project",
    "pack",
    "parse_version",
    "read_archive",
    "read_config",
]
