"""Dry run: what a stage would make and from what, and whether that is published already."""

from __future__ import annotations

from dataclasses import dataclass

from hub.lineage import Lineage, differences, fetch_lineage, up_to_date
from hub.write_access import require_private, require_write_access


@dataclass(frozen=True)
class Task:
    """What a stage is to make: where it will be, and from what."""

    repo: str
    type: str
    lineage: Lineage

    def done(self, private: bool = False) -> str | None:
        """The commit of the published artifact where it is this very work, which it then says; else None.

        None also says that it may be published: the work that follows is not lost to a missing right. Raises as
        `require_write_access` does.
        """
        if revision := self._published():
            return revision
        require_write_access(self.repo, self.type, private)
        return None

    def preview(self, private: bool = False) -> None:
        """Says what would be made, from what and why, and makes nothing.

        Raises UserError where it would go to a public repository and `private` asks for another.
        """
        from huggingface_hub import HfApi

        if self._published():
            return
        found = fetch_lineage(self.repo, self.type)
        reasons = differences(found[1], self.lineage) if found else ["it is not published yet"]
        log_progress(self.lineage.stage, f"would make {self.type} {self.repo}: {'; '.join(reasons)}")
        for source in self.lineage.inputs:
            log_progress(self.lineage.stage, f"  from {source.type} {source.repo}@{source.revision}")
        if found and private:
            require_private(HfApi().repo_info(self.repo, repo_type=self.type), self.repo, self.type, private)

    def _published(self) -> str | None:
        if revision := up_to_date(self.repo, self.type, self.lineage):
            log_progress(self.lineage.stage, f"up to date: {self.repo}@{revision}")
        return revision


def log_progress(stage: str, text: str) -> None:
    """One line of progress for the reader of a log."""
    print(f"[{stage}] {text}", flush=True)
