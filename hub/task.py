"""Dry run: what a stage would make and from what, and whether that is published already."""

from __future__ import annotations

from dataclasses import dataclass

from hub.lineage import Lineage, differences, fetch_lineage, up_to_date


@dataclass(frozen=True)
class Task:
    """What a stage is to make: where it will be, and from what."""

    repo: str
    type: str
    lineage: Lineage

    def done(self) -> str | None:
        """The commit of the published artifact where it is this very work, which it then says; else None."""
        if revision := up_to_date(self.repo, self.type, self.lineage):
            log_progress(self.lineage.stage, f"up to date: {self.repo}@{revision}")
        return revision

    def preview(self) -> None:
        """Says what would be made, from what and why, and makes nothing."""
        if self.done():
            return
        found = fetch_lineage(self.repo, self.type)
        reasons = differences(found[1], self.lineage) if found else ["it is not published yet"]
        log_progress(self.lineage.stage, f"would make {self.type} {self.repo}: {'; '.join(reasons)}")
        for source in self.lineage.inputs:
            log_progress(self.lineage.stage, f"  from {source.type} {source.repo}@{source.revision}")


def log_progress(stage: str, text: str) -> None:
    """One line of progress for the reader of a log."""
    print(f"[{stage}] {text}", flush=True)
