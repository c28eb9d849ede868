"""The control API: what a person, the command line and other programs ask of an installation.

`service` serves it, `routes` declares it (one declaration a route, which also makes the OpenAPI
document and checks what comes in), `custom_bots`, `bots`, `logs` and `host` answer.
"""
