"""What the library says went wrong, in our errors.

Its texts quote URLs, whole answers and parts of requests, which may hold signatures and keys, so none of them is passed on:
only a status (RFC 9110, section 15) and the storage's own code for the error are read out of one. Codes:
https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and
https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from comfyvn_store.errors import ComfyvnError, MachineError, ObjectMissing, RemoteDenied, RemoteUnreachable
from comfyvn_store.remotes.bucket.access import SIGNED, UNSIGNED, UNTRUSTED

_STATUS = re.compile(r"status code: ([1-5]\d\d)\b")
_CODE = re.compile(r"<Code>([A-Za-z]{3,64})</Code>")
# Behind these words the library repeats itself in more detail.
_DETAIL = "\n\nDebug source:"

_NO_BUCKET = frozenset(
    ("NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "InvalidBucketName", "InvalidResourceName")
)
_EXPIRED = frozenset(("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"))
_REGION = frozenset(
    ("AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "IncorrectEndpoint")
)
_DENIED = frozenset(
    (
        *("AccessDenied", "AccountIsDisabled", "AllAccessDisabled", "AuthenticationFailed", "AuthorizationFailure"),
        *("AuthorizationPermissionMismatch", "InsufficientAccountPermissions", "InvalidAccessKeyId"),
        *("InvalidAuthenticationInfo", "InvalidSecurity", "InvalidToken", "NoAuthenticationInformation", "NotSignedUp"),
        *("PublicAccessNotPermitted", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "UnauthorizedAccess"),
    )
)
_FULL = frozenset(("InsufficientStorage", "QuotaExceeded", "StorageQuotaExceeded", "XMinioStorageFull"))
_BUSY = frozenset(
    (
        *("ConditionalRequestConflict", "InternalError", "OperationAborted", "OperationTimedOut", "RequestTimeout"),
        *("ServerBusy", "ServiceUnavailable", "SlowDown", "ThrottlingException", "TooManyRequests"),
    )
)
# A condition that the storage does not know: 501, or 400 and one of these.
_NO_CONDITION = frozenset(("NotImplemented", "InvalidArgument", "UnsupportedHeader", "NotSupported"))
# Azure forgets the parts of all other uploads of an object when one is completed.
_OVERTAKEN = frozenset(("InvalidBlockList", "InvalidBlobOrBlock"))
_OTHERS = frozenset(
    (
        *("BadDigest", "BlobAlreadyExists", "BlobNotFound", "EntityTooLarge", "InvalidObjectState", "InvalidRange"),
        *("InvalidRequest", "KeyTooLongError", "MalformedXML", "MethodNotAllowed", "NoSuchKey", "NoSuchUpload"),
        *("PreconditionFailed", "UserProjectMissing", "XAmzContentSHA256Mismatch"),
    )
)
# Only known words are repeated: a server can put what it was sent, a token too, where its code belongs.
_KNOWN = frozenset().union(*(_NO_BUCKET, _EXPIRED, _REGION, _DENIED, _FULL, _BUSY, _NO_CONDITION, _OVERTAKEN, _OTHERS))
# Statuses that say "not like this", not "not now", though they begin with a 5.
_LASTING = (501, 505)

_UNTRUSTED_HINT = "if you trust it: comfyvn-store remote trust {name}"
_UNSIGNED_HINT = {
    "s3": "export AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run `aws configure`",
    "gs": "export GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
    "az": "export AZURE_STORAGE_ACCOUNT_KEY, AZURE_STORAGE_SAS_KEY or AZURE_STORAGE_CONNECTION_STRING",
}

_FETCHED_HINT = {
    "s3": "sign in again, as with `aws sso login`",
    "gs": "sign in again: `gcloud auth application-default login`",
    "az": "sign in again, as with `az login`",
}

# Words for what happened before there was a status.
_NO_RANGES, _BEYOND = "it cannot begin amid an object", "the object is shorter"
_SLOW, _UNKNOWN_HOST, _CLOSED, _BROKEN = (
    "it did not answer in time",
    "its name is not known",
    "it cannot be connected to",
    "the connection broke",
)
_NO_CREDENTIALS = "credentials cannot be fetched"
_PASSING = frozenset((_SLOW, _UNKNOWN_HOST, _CLOSED, _BROKEN))


class Fault(NamedTuple):
    """What is kept of an error of the library. `trouble` is a word for what happened before any status came."""

    kind: str
    status: int | None = None
    code: str | None = None
    trouble: str = ""

    @property
    def says(self) -> str:
        """What may be shown of it."""
        status = f"status {self.status}" if self.status else ""
        return " ".join(part for part in (status, f"({self.code})" if self.code else "") if part) or self.trouble

    @property
    def lacks_bucket(self) -> bool:
        """Whether the bucket itself is not there."""
        return self.code in _NO_BUCKET

    @property
    def is_object_missing(self) -> bool:
        """Whether the object is not there, as far as the answer tells."""
        return not self.lacks_bucket and (self.kind == "FileNotFoundError" or self.status == 404)

    @property
    def is_denial(self) -> bool:
        """Whether it is about what one may do."""
        return self.status in (401, 403) or self.code in _DENIED or self.code in _EXPIRED

    @property
    def is_beyond(self) -> bool:
        """Whether bytes behind the object's end were asked for."""
        return self.status == 416 or self.trouble == _BEYOND

    @property
    def has_no_ranges(self) -> bool:
        """Whether all of an object came where a part was asked for."""
        return self.trouble == _NO_RANGES

    @property
    def knows_no_condition(self) -> bool:
        """Whether the storage has no "only where there is none"."""
        return self.status == 501 or (self.status == 400 and self.code in _NO_CONDITION)

    @property
    def is_overtaken(self) -> bool:
        """Whether another upload of the same object was completed before this one."""
        return self.code in _OVERTAKEN

    @property
    def is_vague(self) -> bool:
        """Whether an answer without a body said no more than a number, so that asking otherwise tells more."""
        return self.code is None and self.status in (301, 400, 403)


class Names(NamedTuple):
    """What messages about a bucket name."""

    name: str
    place: str
    scheme: str
    bucket: str
    standing: str


def read(error: BaseException) -> Fault:
    """Reads what may be kept out of an error of the library."""
    text, _, detail = str(error).partition(_DETAIL)
    text = text[:4096]
    status = _STATUS.search(text)
    code = _CODE.search(text)
    kind = type(error).__name__
    if isinstance(error, TimeoutError):
        return Fault(kind, trouble=_SLOW)
    if "redirect without LOCATION" in text:
        return Fault(kind, 301, "PermanentRedirect")
    if "token request" in text or "credential provider" in text:
        # It is about another server than the bucket's, or about this machine.
        trouble = _trouble(text, detail)
        return Fault(kind, trouble=trouble if not status and trouble in _PASSING else _NO_CREDENTIALS)
    number = int(status[1]) if status else {"PermissionDeniedError": 403, "UnauthenticatedError": 401}.get(kind)
    return Fault(
        kind, number, code[1] if code and code[1] in _KNOWN else None, "" if number else _trouble(text, detail)
    )


def _trouble(text: str, detail: str) -> str:
    """Gives a word for what the library says of a request that got no proper answer."""
    for sign, word in (
        ("non-partial response", _NO_RANGES),
        ("StartTooLarge", _BEYOND),
        ("TimedOut", _SLOW),
        ("kind: Timeout", _SLOW),
        ("certificate", "its certificate is not valid"),
        ("dns error", _UNKNOWN_HOST),
        ("kind: Connect", _CLOSED),
        ("kind: Interrupted", _BROKEN),
        ("kind: Request", _BROKEN),
        ("kind: Body", _BROKEN),
    ):
        if sign in detail or sign in text:
            return word
    return "its answer makes no sense"


BROKEN = Fault("", trouble=_BROKEN)


def explain(fault: Fault, names: Names, *, hash_: str | None = None) -> ComfyvnError:
    """Gives the error to raise. `hash_` is the object asked for, where a missing one is an answer."""
    where = f"'{names.place}' (remote '{names.name}')"
    if fault.lacks_bucket or (hash_ is None and fault.is_object_missing):
        return RemoteUnreachable(
            f"there is no bucket '{names.bucket}' at {where}",
            hint="is its name spelt right? Buckets are made with the cloud's own tools",
        )
    if fault.is_object_missing and hash_ is not None:
        return ObjectMissing(f"remote '{names.name}' does not hold object {hash_[:16]}")
    if fault.status == 301 or fault.code in _REGION:
        return RemoteUnreachable(
            f"bucket '{names.bucket}' is in another region (remote '{names.name}')",
            hint=f"name it in the address, as in {names.scheme}://{names.bucket}/folder?region=eu-central-1",
        )
    if fault.code in _EXPIRED:
        return RemoteDenied(f"the credentials for {where} are expired", hint="get new ones, and run the command again")
    # Some storages, such as OpenStack Swift with 412, do not say that it is a signature that they miss.
    is_unclear = names.standing != SIGNED and fault.status in (400, 412)
    if fault.is_denial or is_unclear or fault.trouble == _NO_CREDENTIALS:
        return _denied(fault, names, where)
    if fault.status == 507 or fault.code in _FULL:
        return MachineError(f"the storage at {where} is full: {fault.says}", hint="make room there, or pay for more")
    if fault.status in (408, 409, 425, 429) or (fault.status or 0) >= 500 or fault.code in _BUSY:
        return RemoteUnreachable(
            f"{where} answers with {fault.says}", hint="try again later", is_passing=fault.status not in _LASTING
        )
    if fault.status is not None:
        return RemoteUnreachable(f"{where} answers with {fault.says}")
    return RemoteUnreachable(
        f"{where} cannot be used: {fault.says}",
        hint="is the network up, and the address right?" if fault.trouble in _PASSING else None,
        is_passing=fault.trouble in _PASSING,
    )


def _denied(fault: Fault, names: Names, where: str) -> RemoteDenied:
    if names.standing == UNTRUSTED:
        hint = _UNTRUSTED_HINT.format(name=names.name)
        return RemoteDenied(f"{where} wants credentials, and is sent none before you trust it", hint=hint)
    if names.standing == UNSIGNED:
        return RemoteDenied(f"{where} wants credentials, and none were found", hint=_UNSIGNED_HINT[names.scheme])
    if fault.trouble == _NO_CREDENTIALS:
        return RemoteDenied(f"the credentials for {where} cannot be fetched", hint=_FETCHED_HINT[names.scheme])
    if fault.code == "RequestTimeTooSkewed":
        return RemoteDenied(f"{where} refuses requests whose time is wrong", hint="set this machine's clock")
    assert names.standing == SIGNED
    return RemoteDenied(
        f"{where} refuses the credentials it was given: {fault.says}",
        hint="are they the right ones, and do they allow reading, listing and, to push, writing in this bucket?",
    )
