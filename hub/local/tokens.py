"""Access tokens: `tokens.json` in the data folder maps each token to a user and a role.

A plain name is a user who may write; `{"user": NAME, "role": "read"}` is one who may read. Whoever has a token sees the
private repositories, and whoever may write may write to every namespace: the local Hub is one household.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hub.errors import UserError
from hub.local.disk import draft_path, one_at_a_time, write_durably
from hub.local.errors import HubError
from hub.text_file import decode_certain

USER = "repartee"
ROLES = ("read", "write")


@dataclass(frozen=True)
class Access:
    """What a token allows."""

    user: str
    role: str = "write"


class Tokens:
    """The tokens of a data folder, as they are now, and one more from the server's environment."""

    def __init__(self, data: Path, own: str | None = None) -> None:
        self._data, self._read_at = data, -1
        self._own = {own.strip(): Access(USER)} if own and own.strip() else {}
        self._known: dict[str, Access] = {}

    def access(self, token: str) -> Access | None:
        """What a token allows, or None for an unknown one; a change of the file counts at once.

        Raises:
            HubError: the file has been changed to something else.
        """
        changed = (self._data / "tokens.json").stat().st_mtime_ns
        if changed != self._read_at:
            try:
                self._known, self._read_at = self._own | _accesses(tokens_of(self._data)), changed
            except UserError as error:
                raise HubError(500, "TokensUnreadable", str(error)) from error
        return self._known.get(token)


def _accesses(tokens: dict[str, str | dict[str, str]]) -> dict[str, Access]:
    return {token.strip(): Access(who) if isinstance(who, str) else Access(**who) for token, who in tokens.items()}


def tokens_of(data: Path) -> dict[str, str | dict[str, str]]:
    """What is in the file; the first run makes one token, readable by the owner alone.

    Raises:
        UserError: a person has changed it to something else.
    """
    path = data / "tokens.json"
    content = _made_once(path, json.dumps({_new(): USER}).encode())
    try:
        found = json.loads(decode_certain(content, str(path)))
        if not (isinstance(found, dict) and found and all(map(_is_holder, found.values()))):
            raise ValueError('a token\'s value is a user\'s name, or {"user": NAME, "role": "read"}')
    except ValueError as error:
        raise UserError(f"{path} holds no tokens ({error}); mend it, or delete it: then one is made") from error
    return found


def _is_holder(who: object) -> bool:
    if isinstance(who, dict):
        return isinstance(who.get("user"), str) and who.get("role", "write") in ROLES and who.keys() <= {"user", "role"}
    return isinstance(who, str)


def signing_key(data: Path) -> bytes:
    """What addresses of large files are signed by: kept, so that a push goes on after a restart."""
    return _made_once(data / "signing.key", secrets.token_bytes(32))


def _made_once(path: Path, content: bytes) -> bytes:
    """The content of a file, readable by the owner alone; the first who asks writes it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = draft_path(path)
        write_durably(draft, content, mode=0o600)
        with suppress(FileExistsError):  # somebody else was first: theirs counts
            os.link(draft, path)
        draft.unlink()
    return path.read_bytes()


def token_of(data: Path) -> str:
    """The token that `run` gives to its command: the first that writes, or else the first."""
    accesses = _accesses(tokens_of(data))
    return next((token for token, access in accesses.items() if access.role == "write"), next(iter(accesses)))


def add_token(data: Path, user: str, role: str) -> str:
    """Makes one more token; a running server knows it at once."""
    token = _new()
    tokens_of(data)
    with one_at_a_time(data):
        tokens = tokens_of(data) | {token: {"user": user, "role": role}}
        write_durably(data / "tokens.json", json.dumps(tokens).encode(), mode=0o600)
    return token


def _new() -> str:
    return f"hf_local{secrets.token_hex(16)}"
