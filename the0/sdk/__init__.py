"""The SDK that bots import as ``the0``: standard library only, nothing of the platform.

``the0/__init__``, ``the0/state`` and ``the0/query`` re-export these modules, on the host and in
every image of a Python bot.
"""
