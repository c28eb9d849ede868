"""What the platform keeps in object storage, on top of any storage plugin.

:mod:`the0.storage.keys` names the objects, :mod:`~the0.storage.state` keeps bots' state,
:mod:`~the0.storage.cache` caches archives, :mod:`~the0.storage.results` hands over results;
:mod:`~the0.storage.log_lines`, :mod:`~the0.storage.log_spool` and :mod:`~the0.storage.logs` turn
log records into one object per bot and day. Nothing here is asynchronous but the code cache:
callers run it in a pool.
"""
