"""How a bucket is reached: endpoint, region, and the credentials that this machine and its environment give.

Nothing is asked of any server here, and no credential leaves this module but into the library. Credentials go to the
cloud itself, or to an endpoint that the environment names or that this clone trusts; to no other. Where none are found,
requests are not signed: the library would ask a metadata service that only machines of a cloud have, for minutes.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from comfyvn_store.errors import RemoteDenied, ToolMissing, UsageError
from comfyvn_store.remotes.address import Address
from comfyvn_store.remotes.bucket import profiles

# What is said about a bucket whose storage denies something.
UNTRUSTED, UNSIGNED, SIGNED = "untrusted", "unsigned", "signed"

CONNECT_SECONDS = 10
# One request, from its beginning to the end of its answer. An answer is at most one range; a request that sends, one part.
ANSWER_SECONDS = 60
SEND_SECONDS = 300
UNTRUSTED_SECONDS = 20

_AZURE = [
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_MASTER_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TOKEN",
    "AZURE_STORAGE_CLIENT_ID",
    "AZURE_CLIENT_ID",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_CLIENT_SECRET",
    "AZURE_STORAGE_TENANT_ID",
    "AZURE_TENANT_ID",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_AUTHORITY_HOST",
    "AZURE_MSI_ENDPOINT",
    "AZURE_USE_AZURE_CLI",
]
_GOOGLE = [
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_BEARER_TOKEN",
]
# Where AWS's own containers and web identities get theirs; the library knows how.
_AWS_INDIRECT = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_METADATA_ENDPOINT",
)


class Access(NamedTuple):
    """How to open a bucket with the library. `standing` is UNTRUSTED, UNSIGNED or SIGNED."""

    kind: str
    config: dict[str, Any]
    provider: Callable[[], Any] | None
    standing: str
    endpoint: str | None

    def __repr__(self) -> str:
        return f"Access({self.kind!r}, {self.standing!r})"

    def open(self, seconds: int) -> Any:
        """Opens the bucket, for requests that take so many seconds at most."""
        from obstore import store as stores

        options = {
            "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
            "timeout": timedelta(seconds=seconds),
            "allow_http": bool(self.endpoint and self.endpoint.startswith("http://")),
        }
        # Trying again is the business of what wraps a remote.
        retry = {"max_retries": 0, "retry_timeout": timedelta(seconds=seconds)}
        return getattr(stores, self.kind)(
            config=self.config, client_options=options, retry_config=retry, credential_provider=self.provider
        )


def library() -> Any:
    """Gives the library. Raises ToolMissing."""
    try:
        import obstore
    except ImportError:
        raise ToolMissing(
            "remotes in object storage need the package 'obstore', which is not installed",
            hint="`pipx inject comfyvn-store obstore`, or: pip install 'comfyvn-store[cloud]'",
        ) from None
    return obstore


def find(address: Address, environment: Mapping[str, str], *, is_trusted: bool) -> Access:
    """Finds out how a bucket is reached. Raises UsageError, RemoteDenied."""
    endpoint = _endpoint(address)
    return {"s3": _s3, "gs": _google, "az": _azure}[address.scheme](address, endpoint, environment, is_trusted)


def _endpoint(address: Address) -> str | None:
    endpoint = address.option("endpoint")
    if endpoint is None:
        return None
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or "@" in parts.netloc:
        raise UsageError(
            f"the endpoint of bucket '{address.host}' is no address of a server",
            hint="as in ?endpoint=https://storage.example.com; credentials come from the environment",
        )
    return endpoint.rstrip("/")


# -- S3 --------------------------------------------------------------------------------------------------------------


def _s3(address: Address, endpoint: str | None, environment: Mapping[str, str], is_trusted: bool) -> Access:
    config: dict[str, Any] = {"bucket": address.host, "disable_bulk_delete": True}
    if not is_trusted:
        # Otherwise the environment's customer key would go along with every request that reads.
        config |= {"skip_signature": True, "server_side_encryption": "AES256", "request_payer": False}
        profile, provider, standing = profiles.Profile("default"), None, UNTRUSTED
    else:
        profile, provider, standing = _aws_credentials(environment, endpoint)
        config["skip_signature"] = standing != SIGNED
    endpoint = (
        endpoint
        or environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL")
        or environment.get("AWS_ENDPOINT")
        or profile.endpoint
    )
    if endpoint:
        # The second would be taken from the environment otherwise, and win.
        config |= {"endpoint": endpoint, "aws_endpoint_url_s3": endpoint}
    region = (
        address.option("region")
        or environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or profile.region
    )
    if region:
        config["region"] = region
    return Access("S3Store", config, provider, standing, endpoint)


def _aws_credentials(
    environment: Mapping[str, str], endpoint: str | None
) -> tuple[profiles.Profile, Callable[[], Any] | None, str]:
    """Gives the profile with its region and endpoint, what gives credentials, and the standing that follows."""
    none = profiles.Profile("default")
    if _is_true(environment, "AWS_SKIP_SIGNATURE"):
        return none, None, UNSIGNED
    key_id, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if key_id and secret:
        token = environment.get("AWS_SESSION_TOKEN") or environment.get("AWS_TOKEN")
        return none, _fixed(key_id, secret, token), SIGNED
    if any(environment.get(name) for name in _AWS_INDIRECT):
        return none, None, SIGNED
    profile = profiles.read(environment)
    if profile.is_indirect:
        return profile, _through_boto3(profile.name), SIGNED
    if profile.key_id and profile.secret:
        return profile, _fixed(profile.key_id, profile.secret, profile.token), SIGNED
    disabled = _is_true(environment, "AWS_EC2_METADATA_DISABLED")
    if endpoint is None and not disabled and "Amazon EC2" in _machine():
        return profile, None, SIGNED
    return profile, None, UNSIGNED


def _fixed(key_id: str, secret: str, token: str | None) -> Callable[[], dict[str, Any]]:
    return lambda: {"access_key_id": key_id, "secret_access_key": secret, "token": token, "expires_at": None}


def _through_boto3(name: str) -> Callable[[], Any]:
    """Lets boto3 see to a profile whose keys have to be asked for. Raises RemoteDenied where that cannot be."""
    if importlib.util.find_spec("boto3") is None:
        raise RemoteDenied(
            f"the AWS profile '{name}' needs the package 'boto3' (single sign-on, a role or a program gives its keys)",
            hint='`pipx inject comfyvn-store boto3`, or: eval "$(aws configure export-credentials --format env)"',
        )
    try:
        session = importlib.import_module("boto3").Session(profile_name=name)
        provider: Callable[[], Any] = importlib.import_module("obstore.auth.boto3").Boto3CredentialProvider(session)
        return provider
    except Exception:  # whatever boto3 says may quote the profile
        failed = f"the AWS profile '{name}' gives no credentials"
    raise RemoteDenied(failed, hint=f"try `aws sts get-caller-identity --profile {name}`")


# -- Google and Azure ------------------------------------------------------------------------------------------------


def _google(address: Address, endpoint: str | None, environment: Mapping[str, str], is_trusted: bool) -> Access:
    config: dict[str, Any] = {"google_bucket": address.host}
    if is_trusted:
        config |= {name.lower(): environment[name] for name in _GOOGLE if environment.get(name)}
    base = endpoint or environment.get("GOOGLE_BASE_URL")
    if base:
        config["google_base_url"] = base
    tools = os.path.join(environment.get("HOME", ""), ".config/gcloud/application_default_credentials.json")
    has_some = len(config) > 1 + bool(base) or os.path.exists(tools) or "Google" in _machine()
    signs = is_trusted and has_some and not _is_true(environment, "GOOGLE_SKIP_SIGNATURE")
    if not signs:
        config["google_skip_signature"] = True
    return Access("GCSStore", config, None, SIGNED if signs else UNSIGNED if is_trusted else UNTRUSTED, base)


def _azure(address: Address, endpoint: str | None, environment: Mapping[str, str], is_trusted: bool) -> Access:
    given = {name.lower(): environment[name] for name in _AZURE if environment.get(name)} if is_trusted else {}
    stated = _connection_string(environment.get("AZURE_STORAGE_CONNECTION_STRING", "")) if is_trusted else {}
    config: dict[str, Any] = {**stated, **given, "azure_container_name": address.host}
    endpoint = endpoint or environment.get("AZURE_STORAGE_ENDPOINT") or config.pop("azure_storage_endpoint", None)
    if endpoint:
        config |= {"azure_storage_endpoint": endpoint, "azure_storage_use_emulator": False}
        config.setdefault("azure_storage_account_name", _account_at(endpoint))
    account = config.get("azure_storage_account_name")
    if not account:
        raise RemoteDenied(
            f"which account the container '{address.host}' belongs to is not known",
            hint="export AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or AZURE_STORAGE_CONNECTION_STRING",
        )
    signs = is_trusted and bool(config.keys() - _NO_CREDENTIAL) and not _is_true(environment, "AZURE_SKIP_SIGNATURE")
    if not signs:
        config["azure_skip_signature"] = True
    return Access("AzureStore", config, None, SIGNED if signs else UNSIGNED if is_trusted else UNTRUSTED, endpoint)


_NO_CREDENTIAL = frozenset(
    (
        *("azure_container_name", "azure_storage_endpoint", "azure_storage_use_emulator"),
        *("azure_storage_account_name", "azure_authority_host"),
    )
)


def _connection_string(text: str) -> dict[str, str]:
    """Reads what the portal gives to copy: `AccountName=…;AccountKey=…;…`."""
    names = {
        "AccountName": "azure_storage_account_name",
        "AccountKey": "azure_storage_account_key",
        "SharedAccessSignature": "azure_storage_sas_key",
        "BlobEndpoint": "azure_storage_endpoint",
    }
    parts = (part.partition("=") for part in text.split(";"))
    return {names[name]: value for name, _, value in parts if name in names and value}


def _account_at(endpoint: str) -> str:
    """Gives the account in an endpoint: the first part of the cloud's host name, the path elsewhere."""
    parts = urlsplit(endpoint)
    host, path = parts.hostname or "", parts.path.strip("/")
    return path.split("/")[0] if path else host.split(".")[0]


def _is_true(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() in ("1", "true", "yes", "on")


def _machine() -> str:
    """Gives what the firmware says this machine is: those of the clouds say so."""
    said = []
    for name in ("sys_vendor", "product_name", "board_vendor"):
        try:
            with open(f"/sys/class/dmi/id/{name}", encoding="utf-8", errors="replace") as file:
                said.append(file.read(256).strip())
        except OSError:
            continue
    return " ".join(said)
