"""LFS storage: content-addressed files beside git, each under its sha256, there once whole and right."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from hub.local.disk import draft_path, sync_folder
from hub.local.errors import HubError

LFS_THRESHOLD = 10 * 1024 * 1024  # bytes above which a file goes here


class LargeFiles:
    """The large files of all repositories below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)

    def path(self, oid: str) -> Path:
        """Where the file with a sha256 lies, or would. Raises HubError for what is no sha256."""
        if not re.fullmatch("[0-9a-f]{64}", oid):
            raise HubError(400, "InvalidOid", f"'{oid}' is not a sha256")
        return self.root / oid[:2] / oid

    def size(self, oid: str) -> int | None:
        """Bytes of a large file, or None where it has not arrived."""
        path = self.path(oid)
        return path.stat().st_size if path.exists() else None

    async def receive(self, oid: str, chunks: AsyncIterator[bytes]) -> None:
        """Streams a file to disk.

        Raises:
            HubError: the content is not the one that its name says; nothing is kept.
        """
        target = self.path(oid)
        target.parent.mkdir(exist_ok=True)
        draft, digest = draft_path(target), hashlib.sha256()
        try:
            with draft.open("wb") as file:
                async for chunk in chunks:
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                await run_in_threadpool(os.fsync, file.fileno())
            if digest.hexdigest() != oid:
                raise HubError(400, "BadContent", f"the content has sha256 {digest.hexdigest()}, not {oid}")
            draft.replace(target)
            await run_in_threadpool(sync_folder, target.parent)
            await run_in_threadpool(sync_folder, self.root)
        finally:
            draft.unlink(missing_ok=True)
