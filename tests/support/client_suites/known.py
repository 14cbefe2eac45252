"""Which failures of a client's own tests are of what the local Hub does not support, by the table in docs/hub.md."""

from __future__ import annotations

import re

from tests.support.conformance import UNSUPPORTED

PATTERNS = {
    r"no pull requests|/discussions|/like\b|/likes\b|no gated repositories": "pull requests",
    r"/settings/webhooks|inference_catalog|/buckets|/jobs": "Jobs",
    r"lfs-files/batch": "permanently_delete",
    r"renamed_repo": "redirects",
    r"test_whoami_with_passing_token|create_repo_private_by_default|test_create_private_collection": "organizations",
    r"/\.well-known/openid-configuration": "organizations",
    r"\\.*is not a path inside a repository": "backslashes",
    r"\A\S*xet": "Xet",
}
"""Regular expression over a test's name and message, to the beginning of a row of `UNSUPPORTED`."""
NOT_HERE = {
    r"tests/(fixtures|features/data)/|fixture '\w+' not found": "the sdist leaves its fixtures out",
    r"Name or service not known|huggingface\.co/|should throw 401 when accessing unexisting repo unauth|"
    r"whoAmI > should fetch identity info": "it means the real Hub",
    r"uploadFilesWithProgress .*\nexpected \[.*…\(5\) \] to deeply equal \[.*…\(6\) \]\Z": "another test has sent the "
    "same large file, which is here once",
}
"""The same, to what the run itself lacks."""


def reason(test: str, message: str) -> str | None:
    """What is not supported that a failed test asks for; None where it is none of it."""
    lines = message.splitlines()
    said = "\n".join([test, *lines[:1], *(line for line in lines if line.startswith("E "))])  # no line of any code
    for pattern, row in PATTERNS.items():
        if re.search(pattern, said, re.IGNORECASE):
            return next(what for what in UNSUPPORTED if what.startswith(row))
    return next((lacking for pattern, lacking in NOT_HERE.items() if re.search(pattern, said)), None)
