"""Downloads a corpus once from an http address; what turns out to be none is not kept."""

from __future__ import annotations

import hashlib
import http.client
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from training.data.corpus.assemble import CorpusError
from training.data.corpus.file_form import check_file


def downloaded(address: str, folder: Path) -> Path:
    """Local file of an http address, downloaded once, under the name that its path has, whatever the query.

    Raises:
        CorpusError: it cannot be downloaded, or what came is no corpus; neither leaves a file.
    """
    try:
        name = Path(unquote(urlsplit(address).path)).name or "corpus"
    except ValueError as error:
        raise CorpusError(f"{address} cannot be downloaded ({error}); give a path or another address") from error
    target = folder / hashlib.sha256(address.encode()).hexdigest()[:12] / name
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.parent / f"part-{name}"  # its ending tells its form
        with kept_if_corpus(partial, address):
            try:
                urllib.request.urlretrieve(address, partial)
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise CorpusError(f"cannot be downloaded ({error}); download it elsewhere and give its path") from error
            check_file(partial)
        partial.replace(target)
    return target


@contextmanager
def kept_if_corpus(path: Path, address: str) -> Iterator[None]:
    """Deletes a download that turns out to be no corpus, so that the next run gets it anew."""
    try:
        yield
    except CorpusError as error:
        path.unlink(missing_ok=True)
        message = str(error).removeprefix(f"{path}: ")
        raise CorpusError(f"{address}: {message} (what came from there is deleted)") from error
