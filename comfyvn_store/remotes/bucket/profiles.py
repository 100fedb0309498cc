"""The files of the AWS tools (`aws configure` writes them), as far as they hold keys as they are.

https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html. What has to be asked of a server first (single sign-on,
roles, programs that print keys) is only noticed here.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Mapping
from typing import NamedTuple

from comfyvn_store.errors import RemoteDenied

# Settings that say where keys come from, in place of the keys.
_INDIRECT = ("sso_session", "sso_start_url", "role_arn", "credential_process", "web_identity_token_file")


class Profile(NamedTuple):
    """One profile. `is_indirect` says that its keys have to be asked for."""

    name: str
    key_id: str | None = None
    secret: str | None = None
    token: str | None = None
    region: str | None = None
    endpoint: str | None = None
    is_indirect: bool = False

    def __repr__(self) -> str:
        return f"Profile({self.name!r})"


def read(environment: Mapping[str, str]) -> Profile:
    """Reads the profile that the environment names, or the default one; empty where there is none.

    Raises RemoteDenied where a profile is named that is not there, or a file cannot be read.
    """
    named = environment.get("AWS_PROFILE") or environment.get("AWS_DEFAULT_PROFILE")
    name = named or "default"
    secrets = _section(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials", name)
    section = name if name == "default" else f"profile {name}"
    settings = _section(environment, "AWS_CONFIG_FILE", "config", section)
    if named and not secrets and not settings:
        raise RemoteDenied(f"there is no AWS profile '{name}'", hint="`aws configure list-profiles` lists them")
    found = {**settings, **secrets}
    return Profile(
        name,
        found.get("aws_access_key_id"),
        found.get("aws_secret_access_key"),
        found.get("aws_session_token"),
        found.get("region"),
        found.get("endpoint_url"),
        any(each in found for each in _INDIRECT),
    )


def _section(environment: Mapping[str, str], variable: str, name: str, section: str) -> dict[str, str]:
    home = environment.get("HOME") or os.path.expanduser("~")
    path = environment.get(variable) or os.path.join(home, ".aws", name)
    parser = configparser.RawConfigParser(strict=False)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error):
        # What the parser says quotes the line, and that may be the one with the key.
        unreadable = True
    else:
        unreadable = False
    if unreadable:
        raise RemoteDenied(f"'{path}' cannot be read", hint="`aws configure` writes it anew")
    return dict(parser.items(section)) if parser.has_section(section) else {}
