"""Settings of buckets, which there are none of: asked for, they answer as S3 does of a bucket that was given none.

Clients look at them before they act: s3fs asks for the versioning of a bucket before it empties it.
"""

from __future__ import annotations

from collections.abc import Mapping

from tunewright.aws.faults import Answer
from tunewright.aws.s3.faults import S3Fault
from tunewright.aws.s3.reply import xml

EMPTY: Mapping[str, tuple[str, dict[str, str]]] = {
    "accelerate": ("AccelerateConfiguration", {}),
    "logging": ("BucketLoggingStatus", {}),
    "notification": ("NotificationConfiguration", {}),
    "requestPayment": ("RequestPaymentConfiguration", {"Payer": "BucketOwner"}),
    "versioning": ("VersioningConfiguration", {}),
}
MISSING: Mapping[str, str] = {
    "cors": "NoSuchCORSConfiguration",
    "encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "lifecycle": "NoSuchLifecycleConfiguration",
    "object-lock": "ObjectLockConfigurationNotFoundError",
    "ownershipControls": "OwnershipControlsNotFoundError",
    "policy": "NoSuchBucketPolicy",
    "publicAccessBlock": "NoSuchPublicAccessBlockConfiguration",
    "replication": "ReplicationConfigurationNotFoundError",
    "tagging": "NoSuchTagSet",
    "website": "NoSuchWebsiteConfiguration",
}
SETTINGS = EMPTY.keys() | MISSING.keys()


def read_setting(name: str) -> Answer:
    """The answer to a GET of one of SETTINGS. Raises S3Fault where S3 has an error for what was never set."""
    if name in MISSING:
        raise S3Fault(MISSING[name], f"The bucket has no {name}.", 404)
    root, content = EMPTY[name]
    return xml(root, content)
