"""Tools for testing the platform and its plugins; nothing here is needed to run it.

* A conformance suite per kind of plugin, to be subclassed by the plugin's own tests:
  :mod:`the0.testing.runtime`, :mod:`the0.testing.executor`, :mod:`the0.testing.storage` and
  :mod:`the0.testing.scheduler`.
* :mod:`the0.testing.servers`: real MongoDB-protocol, S3 and NATS servers as context managers, to
  be killed, frozen and restarted.
* :mod:`the0.testing.faults`: a TCP proxy that misbehaves, for what a real server cannot be asked.
* :mod:`the0.testing.containers`: small containers for tests of executors.
"""
