"""Licence and citation of whose words an artifact holds, inherited from the corpus by all that is made of it.

The reader of a corpus states them; they travel in the `facts` of each lineage, and every card shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from hub.lineage import Input, fetch_lineage
from hub.names import HUB

APACHE = {"license": "apache-2.0"}
QWEN_RESEARCH = {
    "license": "other",
    "license_name": "qwen-research",
    "license_link": "https://huggingface.co/Qwen/Qwen2.5-3B/blob/main/LICENSE",
}


@dataclass(frozen=True)
class Citation:
    """How a card names a source."""

    title: str
    note: str
    """What may be done with it, in a sentence or two of markdown."""
    bibtex: str


@dataclass(frozen=True)
class Rights:
    """Licence and citations of an artifact."""

    license: dict[str, str]
    """`license` of a card's front matter, with `license_name` and `license_link` where that is "other"."""
    citations: tuple[Citation, ...] = ()

    def as_fact(self) -> dict[str, Any]:
        """For the facts of a lineage, where `inherited_rights` finds it."""
        return asdict(self)


LICENSE_FIELDS = ("license", "license_name", "license_link")
UNKNOWN = Rights({"license": "unknown"})


def rights_from_fact(fact: dict[str, Any] | None) -> Rights:
    """Reads `Rights.as_fact`; None is UNKNOWN."""
    return Rights(fact["license"], tuple(Citation(**one) for one in fact["citations"])) if fact else UNKNOWN


def inherited_rights(source: Input) -> Rights:
    """The rights that the lineage of a published input states; where it states none, its own inputs' citations."""
    found = fetch_lineage(source.repo, source.type, source.revision) if source.type != "file" else None
    if not found:
        return UNKNOWN
    if fact := found[1].facts.get("rights"):
        return rights_from_fact(fact)
    return Rights(UNKNOWN.license, combine_rights(map(inherited_rights, found[1].inputs)).citations)


def combine_rights(rights: Iterable[Rights]) -> Rights:
    """Of what is made from several sources: the licence that all of them have, else unknown; every citation once."""
    every = list(rights)
    agreed = all(one.license == every[0].license for one in every)
    citations = dict.fromkeys(citation for one in every for citation in one.citations)
    return Rights(every[0].license if every and agreed else UNKNOWN.license, tuple(citations))


def rights_of_base(base: Input) -> Rights:
    """What an adapter inherits from its base.

    Qwen 2.5 is Apache-2.0 from 0.5B to 32B but for the 3B, which is for research. A base of ours states its own in its
    lineage, another in its card; one that states nothing is pointed at.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    if re.search(r"qwen2\.5-3b", base.repo, re.IGNORECASE):
        return Rights(QWEN_RESEARCH)
    if re.search(r"qwen2\.5-(0\.5|1\.5|7|14|32)b", base.repo, re.IGNORECASE):
        return Rights(APACHE)
    if (own := inherited_rights(base)).license != UNKNOWN.license:
        return own
    stated: dict[str, str] = {}
    with suppress(RepositoryNotFoundError, RevisionNotFoundError):  # deleted since: it is pointed at all the same
        card = HfApi().model_info(base.repo, revision=base.revision).card_data
        stated = {key: str(value) for key in LICENSE_FIELDS if (value := card and card.get(key))}
    if stated.get("license", "other") not in ("other", "unknown") or "license_link" in stated:
        return Rights(stated, own.citations)
    link = f"{HUB}/{base.repo}"
    return Rights({"license": "other", "license_name": "as-the-base-model", "license_link": link}, own.citations)


def license_note(rights: Rights) -> str:
    """The sentence in which an adapter's card says what its base, which has these rights, allows."""
    licence = rights.license
    if licence == QWEN_RESEARCH:
        return (
            f"Built with Qwen. The base is under the [Qwen Research licence]({licence['license_link']}), for research "
            "and other **non-commercial** use only, and so is this adapter."
        )
    if licence == APACHE:
        return "The base is under the Apache licence 2.0, and so is this adapter."
    if rights.citations:
        sources = " and the ".join(citation.title for citation in rights.citations)
        return f"The base was trained on the {sources}, and inherits what is said of it below; so does this adapter."
    if "license_link" in licence:
        return f"The licence is that of [the base]({licence['license_link']})."
    return f"The base is under the licence `{licence['license']}`, and so is this adapter."
