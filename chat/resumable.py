"""Resumable bulk generation: finished chunks are appended to a file of JSON lines; a killed run carries on from it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
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
PROBED = 16
"""Prompts that every way of generating here answers at start, to see which is faster;"""
WORTH_PROBING = 20 * PROBED
"""only where there are so many in all."""
CHOSEN = "generator"
"""Key of a file's first line, where its way was chosen by measuring: a killed run goes on by the same."""

Ask = Callable[..., list[Reply]]


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
    of an unbroken one. Where the models can be run in several ways, the fastest on the first prompts is taken.

    Args:
        path: JSON lines, one reply each (`Reply.to_row`), before them the way where one was chosen; a chunk cut short
            by a kill is generated again.
        generator: a model here, or an engine of models elsewhere.
        prompts: messages of each prompt.
        names: the variant that answers each prompt.
        sampling: of every reply.
        seed: of the run.
        chunk: prompts of one seeded call; LOCAL_CHUNK or SERVER_CHUNK where it is None.
    """
    chunk = chunk or (LOCAL_CHUNK if isinstance(generator, ModelVariants) else SERVER_CHUNK)
    chosen, done = _kept(path, chunk, len(prompts))
    path.parent.mkdir(parents=True, exist_ok=True)
    ways = _ways(generator, names)
    if chosen is None and not done and len(prompts) >= WORTH_PROBING and len(ways) > 1:
        chosen = fastest_way(ways, prompts[:PROBED], names[:PROBED], sampling, path.stem)
    ask = ways.get(chosen or "", next(iter(ways.values())))
    head = _head(chosen)
    with path.open("r+" if done else "w") as file:
        file.write(head)
        file.seek(len(head) + sum(len(_line(reply).encode()) for reply in done))
        file.truncate()
        for start in tqdm(range(len(done), len(prompts), chunk), desc=path.stem, unit="chunk", disable=None):
            part = slice(start, start + chunk)
            replies = ask(list(prompts[part]), list(names[part]), sampling, seed * 1_000_003 + start)
            file.writelines(map(_line, replies))
            file.flush()
            os.fsync(file.fileno())
            done += replies
    return done


def fastest_way(
    ways: Mapping[str, Ask], prompts: Sequence[list[Message]], names: Sequence[str], sampling: Sampling, label: str
) -> str:
    """Name of the way that answers these prompts in the least time; prints what each took.

    Args:
        ways: of generating, by name; each answers one prompt before, which builds what it needs.
        prompts: to answer; the replies are thrown away.
        names: the variant of each prompt.
        sampling: of the replies.
        label: of the printed line.
    """
    seconds = {}
    for way, ask in ways.items():
        ask(list(prompts[:1]), list(names[:1]), sampling, 0)
        started = time.perf_counter()
        ask(list(prompts), list(names), sampling, 0)
        seconds[way] = time.perf_counter() - started
    best = min(seconds, key=lambda way: seconds[way])
    took = ", ".join(f"{way} {taken:.1f} s" for way, taken in seconds.items())
    print(f"[{label}] {len(prompts)} replies: {took}; taking {best}", flush=True)
    return best


def _ways(generator: ModelVariants | BulkGenerator, names: Sequence[str]) -> dict[str, Ask]:
    """Ways to ask a generator by name, the usual one first: models here by the engine's batch where it runs them."""
    if not isinstance(generator, ModelVariants):
        return {"server": generator.replies}
    from chat.engine.bulk import bulk_decoder

    plain: dict[str, Ask] = {"generate": partial(generate, generator)}
    decoder = bulk_decoder(generator, names)
    return {"engine": decoder.replies, **plain} if decoder else plain


def _head(chosen: str | None) -> str:
    return json.dumps({CHOSEN: chosen}) + "\n" if chosen else ""


def _line(reply: Reply) -> str:
    return json.dumps(reply.to_row()) + "\n"


def _kept(path: Path, chunk: int, wanted: int) -> tuple[str | None, list[Reply]]:
    """The way that was chosen, and the replies of finished chunks: whole lines, up to the last multiple of `chunk`."""
    chosen, replies = None, []
    try:
        for line in path.read_text().split("\n")[:-1]:
            row = json.loads(line)
            if CHOSEN in row:
                chosen = row[CHOSEN]
            else:
                replies.append(Reply.from_row(row))
    except FileNotFoundError:
        return None, []
    except (ValueError, TypeError, KeyError):
        pass  # a torn write: what stands before it is good
    return chosen, replies if len(replies) == wanted else replies[: len(replies) // chunk * chunk]
