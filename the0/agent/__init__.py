"""What runs inside every container: fetch, run, sync, stop cleanly.

Only the standard library, and of that as little as possible in the two processes that live as
long as the bot: records are :class:`typing.NamedTuple` because :mod:`dataclasses` alone costs
another MiB in each, and archives, hashes and uploads are the work of short-lived forks.

::

    process 1 (supervisor)   signals, reaping, the bot and query processes, the log file
    ├── prepare              short-lived: launch document, code, state
    ├── sync                 log records, status, scans of state and disk use
    │   └── save             short-lived: hash, snapshot, upload
    ├── query, bot           strangers' code
    └── finish               short-lived, after everything else was ended: the final sync
"""
