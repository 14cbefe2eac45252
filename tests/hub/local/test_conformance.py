"""Each row of the table of client calls, against one local Hub over real HTTP; docs/hub.md has this table."""

import httpx2
import pytest
from huggingface_hub.errors import HfHubHTTPError

from tests.support.conformance import PARTS, ROWS, Hub, in_readme, table

pytest.register_assert_rewrite(*PARTS)  # before `table` imports them

TABLE = table()


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row, hub_url, tmp_path):
    row.check(Hub(hub_url, tmp_path))


def test_what_is_not_supported_is_refused(hub_url, tmp_path):
    """A client that asks for it gets an error, and never a success that did nothing."""
    hub = Hub(hub_url, tmp_path)
    api, name, space = hub.api, hub.repo(a_bin=b"1"), hub.repo("space", "space")
    for call in (
        lambda: api.unlike(name),
        lambda: api.list_liked_repos(),
        lambda: list(api.get_repo_discussions(name)),
        lambda: api.create_discussion(name, "title"),
        lambda: api.create_pull_request(name, "title"),
        lambda: api.update_repo_settings(name, gated="auto"),
        lambda: list(api.list_pending_access_requests(name)),
        lambda: api.permanently_delete_lfs_files(name, list(api.list_lfs_files(name))),
        lambda: api.create_repo(f"{hub.namespace}/kernel", repo_type="kernel"),
        lambda: api.create_repo(f"{hub.namespace}/p", repo_type="space", space_sdk="gradio", visibility="protected"),
        lambda: api.enable_space_dev_mode(space),
        lambda: api.list_space_templates(),
        lambda: list(api.search_spaces("film")),
        lambda: list(api.list_jobs()),
        lambda: api.list_webhooks(),
        lambda: list(api.list_papers(query="film")),
        lambda: list(api.list_dataset_parquet_files(name)),
        lambda: api.get_model_tags(),
    ):
        with pytest.raises((HfHubHTTPError, httpx2.HTTPError, ValueError)):
            call()
    assert len(api.list_repo_commits(name)) == 2


def test_the_readme_has_this_table():
    assert in_readme() == TABLE, "write it anew: .venv/bin/python -m tests.support.conformance"
    assert len(ROWS) >= 60
    assert len({str(row) for row in ROWS}) == len(ROWS)
