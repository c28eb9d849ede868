"""The settings table `minio`."""

from __future__ import annotations

import re
from typing import Any

from the0.settings import seconds, section, setting

_ENDPOINT = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")


def endpoint(value: Any) -> str:
    """Empty, or an S3 server's host with or without a port."""
    if isinstance(value, str) and (not value or _ENDPOINT.fullmatch(value)):
        return value
    raise ValueError("host:port, without a scheme or a path")


@section("minio")
class MinioSettings:
    endpoint: str = setting(
        "",
        "S3 server as host:port, without a scheme; required.",
        parse=endpoint,
        env=("MINIO_ENDPOINT",),
        required=True,
    )
    access_key: str = setting("", "Access key; required.", env=("MINIO_ACCESS_KEY",), required=True)
    secret_key: str = setting(
        "", "Secret key; required.", env=("MINIO_SECRET_KEY",), secret=True, required=True
    )
    use_ssl: bool = setting(False, "Whether to use https.", env=("MINIO_USE_SSL", "MINIO_SSL"))
    region: str = setting("us-east-1", "Region of the buckets.")
    timeout_sec: float = setting(
        15.0,
        "Longest silence of the server before a request is given up.",
        parse=seconds,
        minimum=0.1,
        maximum=300,
    )
