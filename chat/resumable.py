"""Bulk generation that survives being killed: replies are appended to a file, chunk by chunk, and read back from it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from chat.generate import Reply, generate
from chat.sampling import Sampling
from chat.template import Message
from chat.variants import ModelVariants

if TYPE_CHECKING:
    from chat.engine.openai_server import RemoteEngine


def generate_resumable(
    path: Path,
    variants: ModelVariants | RemoteEngine,
    prompts: Sequence[list[Message]],
    names: Sequence[str],
    sampling: Sampling,
    seed: int,
    chunk: int = 192,
) -> list[Reply]:
    """Generates one reply to each prompt, in order, by a model here or on a server, keeping finished chunks in `path`.

    Each chunk is seeded by `seed` and its own place, so that a run that was killed and started again gives the replies
    of an unbroken one.

    Args:
        path: JSON lines, one reply each; a chunk cut short by a kill is done again.
        names: the variant that answers each prompt.
        chunk: prompts of one seeded call.
    """
    done = _whole_chunks(path, chunk, len(prompts))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w" if not done else "r+") as file:
        file.seek(sum(len(json.dumps(asdict(reply)).encode()) + 1 for reply in done))
        file.truncate()
        for start in tqdm(range(len(done), len(prompts), chunk), desc=path.stem, unit="chunk", disable=None):
            part = slice(start, start + chunk)
            asked = list(prompts[part]), list(names[part]), sampling, seed * 1_000_003 + start
            replies = generate(variants, *asked) if isinstance(variants, ModelVariants) else variants.replies(*asked)
            file.writelines(json.dumps(asdict(reply)) + "\n" for reply in replies)
            file.flush()
            os.fsync(file.fileno())
            done += replies
    return done


def _whole_chunks(path: Path, chunk: int, wanted: int) -> list[Reply]:
    """Reads the replies of finished chunks: whole lines, up to the last multiple of `chunk`."""
    replies = []
    try:
        for line in path.read_text().split("\n")[:-1]:
            replies.append(Reply(**json.loads(line)))
    except FileNotFoundError:
        return []
    except (json.JSONDecodeError, TypeError):
        pass  # a torn write: what stands before it is good
    return replies if len(replies) == wanted else replies[: len(replies) // chunk * chunk]
