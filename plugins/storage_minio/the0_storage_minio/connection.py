"""The S3 client: time-outs on every socket operation, few and bounded retries."""

from __future__ import annotations

import os
from typing import Any

import certifi
import urllib3
from minio import Minio

from the0.errors import InvalidSettings
from the0_storage_minio.settings import MinioSettings

CONNECTIONS = 32
CONNECT_TIMEOUT_SEC = 5.0
RETRIES = 2


class _Connections(urllib3.PoolManager):
    """Lets minio-py understand errors that a server marks with the older type text/xml."""

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> Any:  # type: ignore[override]
        response = super().urlopen(method, url, redirect, **kw)
        if response.headers.get("content-type", "").startswith("text/xml"):
            response.headers["content-type"] = "application/xml"
        return response


def connect(settings: MinioSettings) -> tuple[Minio, urllib3.PoolManager]:
    """A client and its connections (to be cleared in the end). Nothing is sent yet.

    Raises InvalidSettings for settings that are missing or cannot be used.
    """
    required = {
        "MINIO_ENDPOINT": settings.endpoint,
        "MINIO_ACCESS_KEY": settings.access_key,
        "MINIO_SECRET_KEY": settings.secret_key,
    }
    if missing := [f"{name} is not set" for name, value in required.items() if not value]:
        raise InvalidSettings("the settings of storage minio are not complete", missing)
    connections = _Connections(
        maxsize=CONNECTIONS,
        timeout=urllib3.Timeout(
            connect=min(CONNECT_TIMEOUT_SEC, settings.timeout_sec), read=settings.timeout_sec
        ),
        retries=urllib3.Retry(
            total=RETRIES,
            read=0,
            backoff_factor=0.2,
            status_forcelist=(500, 502, 503, 504),
            raise_on_status=False,
        ),
        cert_reqs="CERT_REQUIRED",
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
    )
    try:
        client = Minio(
            settings.endpoint,
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            secure=settings.use_ssl,
            region=settings.region,
            http_client=connections,
        )
    except ValueError as error:
        raise InvalidSettings(
            f"MINIO_ENDPOINT {settings.endpoint!r} is not host:port: {error}"
        ) from error
    return client, connections
