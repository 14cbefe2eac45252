"""Judge overlap: who labelled the preferences that an evaluated model was trained on, and so agrees with itself."""

from __future__ import annotations

from hub.lineage import Input, fetch_lineage


def labellers(source: Input) -> set[str]:
    """Judges of every preference set that an artifact was made from, as far down as lineages are published.

    A set that was labelled again meanwhile counts as it was at the commit that was used.
    """
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [source]
    while waiting:
        now = waiting.pop()
        if now.type == "file" or (now.repo, now.revision) in seen:
            continue
        seen.add((now.repo, now.revision))
        if known := fetch_lineage(now.repo, now.type, now.revision):
            lineage = known[1]
            if lineage.stage == "preferences":
                found.add(str(lineage.facts.get("judge")))
            waiting += lineage.inputs
    return found


def warning(judge: str) -> str:
    """The sentence that warns of a judge which labelled the preferences itself."""
    return f"{judge} also labelled the preferences that DPO was trained on: a judge likes its own taste, ask another"
