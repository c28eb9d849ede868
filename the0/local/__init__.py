"""Everything on one machine: embedded servers and the host, supervised as processes of their own.

`the0 local start` (:mod:`the0.local.control`) writes what it generated once into one folder
(:mod:`the0.local.paths`, :mod:`the0.local.config`), starts :mod:`the0.local.supervisor`, and that
keeps the processes of :mod:`the0.local.processes` running until `the0 local stop`.
"""
