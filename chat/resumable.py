"""Resumable bulk generation: finished chunks are appended to a file of JSON lines; a killed run carries on from it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from tqdm import tqdm

from chat.generate import Reply, generate
from chat.sampling import Sampling
from chat.template import Message
from chat.variants import ModelVariants

LOCAL_CHUNK = 192
SERVER_CHUNK = 768  # a server's queue runs empty at the end of each


class BulkGenerator(Protocol):
    """Generates replies in bulk, as `chat.engine.openai_server.RemoteEngine` does."""

    def replies(self, prompts: list[list[Message]], names: list[str], sampling: Sampling, seed: int) -> list[Reply]:
        """Generates one reply to each prompt, in order, by the variant named beside it."""


def generate_resumable(
    path: Path,
    generator: ModelVariants | BulkGenerator,
    prompts: Sequence[list[Message]],
    names: Sequence[str],
    sampling: Sampling,
    seed: int,
    chunk: int | None = None,
) -> list[Reply]:
    """Generates one reply to each prompt, in order, keeping finished chunks in `path`.

    Each chunk is seeded by `seed` and its own offset, so that a run that was killed and started again gives the replies
    of an unbroken one.

    Args:
        path: JSON lines, one reply each (`Reply.to_row`); a chunk cut short by a kill is generated again.
        generator: a model here, or an engine of models elsewhere.
        prompts: messages of each prompt.
        names: the variant that answers each prompt.
        sampling: of every reply.
        seed: of the run.
        chunk: prompts of one seeded call; LOCAL_CHUNK or SERVER_CHUNK where it is None.
    """
    chunk = chunk or (LOCAL_CHUNK if isinstance(generator, ModelVariants) else SERVER_CHUNK)
    done = _finished_chunks(path, chunk, len(prompts))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w" if not done else "r+") as file:
        file.seek(sum(len(_line(reply).encode()) for reply in done))
        file.truncate()
        ask = _ask(generator, names)
        for start in tqdm(range(len(done), len(prompts), chunk), desc=path.stem, unit="chunk", disable=None):
            part = slice(start, start + chunk)
            replies = ask(list(prompts[part]), list(names[part]), sampling, seed * 1_000_003 + start)
            file.writelines(map(_line, replies))
            file.flush()
            os.fsync(file.fileno())
            done += replies
    return done


def _ask(generator: ModelVariants | BulkGenerator, names: Sequence[str]) -> Callable[..., list[Reply]]:
    """How a generator is asked; models of this machine by the decoder's batch where it can run them."""
    if not isinstance(generator, ModelVariants):
        return generator.replies
    from chat.engine.bulk import bulk_decoder

    decoder = bulk_decoder(generator, names)
    return decoder.replies if decoder else partial(generate, generator)


def _line(reply: Reply) -> str:
    return json.dumps(reply.to_row()) + "\n"


def _finished_chunks(path: Path, chunk: int, wanted: int) -> list[Reply]:
    """Reads the replies of finished chunks: whole lines, up to the last multiple of `chunk`."""
    replies = []
    try:
        for line in path.read_text().split("\n")[:-1]:
            replies.append(Reply.from_row(json.loads(line)))
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError):
        pass  # a torn write: what stands before it is good
    return replies if len(replies) == wanted else replies[: len(replies) // chunk * chunk]
