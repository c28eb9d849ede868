"""Object storage over the S3 API, for servers such as MinIO and AWS S3."""

from the0.plugin import Storage, hookimpl
from the0_storage_minio.settings import MinioSettings
from the0_storage_minio.storage import MinioStorage

__all__ = ["MinioSettings", "MinioStorage", "the0_register_storage"]


@hookimpl
def the0_register_storage() -> type[Storage]:
    return MinioStorage
