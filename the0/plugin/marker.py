"""The marks on hooks: `hookspec` on their declarations, `hookimpl` on a plugin's own."""

import pluggy

PROJECT = "the0"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
