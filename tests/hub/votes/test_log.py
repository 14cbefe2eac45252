"""The vote log: nothing lost and nothing twice, whatever becomes of the Hub and of the process."""

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from huggingface_hub import DatasetCard, HfApi

from hub.errors import UserError
from hub.votes import votes
from hub.votes.log import VoteLog, create_locked
from hub.votes.vote import deleted_in
from tests.support import fault_proxy
from tests.support.votes import vote

COUNT, KILLS = (1_000, 3) if os.environ.get("REPARTEE_PROOF") else (100, 3)
VOTER = """
import os, sys, time
from pathlib import Path
from hub.votes.log import VoteLog
from tests.support.votes import vote

repo, folder, first, last = *sys.argv[1:3], *map(int, sys.argv[3:])
log = VoteLog(repo, Path(folder), every=0.3)
for number in range(first, last):
    log.add(vote(number))
    latest = [number - 4] if number % 10 == 9 else []
    for gone in latest + ([number // 2] if number % 20 == 19 else []):  # one of now, one that an earlier life pushed
        log.delete(f"c{gone}")
        os.write(1, f"deleted c{gone}\\n".encode())  # at once: the log's thread prints too
    os.write(1, f"{number}\\n".encode())
    time.sleep(0.01)
log.close()
"""


def dead(log: VoteLog) -> None:
    """Leaves a log as SIGKILL would: its thread ended, its lock gone, its file as it is."""
    log._closing.set()
    log._thread.join()
    if log._file is not None:
        os.close(log._file)


def test_votes_reach_the_dataset_once_and_are_read_back(hub_url, namespace, tmp_path):
    repo = f"{namespace}/repartee-votes"
    log = VoteLog(repo, tmp_path)
    log.add(vote(1))
    log.add(vote(2))
    assert [vote.comparison for vote in log.votes()] == ["c1", "c2"]
    assert (log.push(), log.push()) == (1, 0)
    log.add(vote(3))
    log.close()
    read = votes(repo)
    assert [vote.comparison for vote in read] == ["c1", "c2", "c3"]
    assert read[0] == vote(1)
    assert HfApi().list_repo_files(repo, repo_type="dataset").count("README.md") == 1
    commits = [commit.title for commit in HfApi().list_repo_commits(repo, repo_type="dataset")]
    assert commits.count("Votes") == 2


def test_a_deleted_vote_leaves_the_dataset_and_stays_out(hub_url, namespace, tmp_path):
    """Also from the file of a process that died, and though another one still has the row and pushes it again."""
    repo = f"{namespace}/repartee-votes"
    gone, other = VoteLog(repo, tmp_path, every=600), VoteLog(repo, tmp_path / "other", every=600)
    for number in (1, 2):
        gone.add(vote(number))
    gone.close()
    for number in (3, 4):
        other.add(vote(number))
    other.push()
    log = VoteLog(repo, tmp_path, every=600)
    log.add(vote(5))
    log.delete("c1")
    log.delete("c3")
    assert sorted(vote.comparison for vote in log.votes()) == ["c2", "c5"]
    log.push()
    assert published(repo) == ["c2", "c4", "c5"]
    other.add(vote(6))
    other.close()
    assert published(repo) == ["c2", "c4", "c5", "c6"]
    assert sorted(vote.comparison for vote in votes(repo)) == ["c2", "c4", "c5", "c6"]
    log.delete("c2")
    log.delete("c5")
    log.close()
    assert published(repo) == ["c4", "c6"], "a file that is left empty goes"


def test_a_reader_honours_deletions_where_the_row_is_still_there(hub_url, namespace, tmp_path):
    repo = f"{namespace}/repartee-votes"
    log = VoteLog(repo, tmp_path, every=600)
    log.add(vote(1))
    log.add(vote(2))
    log.close()
    content = b'{"deleted": "c1"}\n'
    HfApi().upload_file(path_or_fileobj=content, path_in_repo="deleted/x.jsonl", repo_id=repo, repo_type="dataset")
    assert published(repo) == ["c1", "c2"]
    assert [vote.comparison for vote in votes(repo)] == ["c2"]


def published(repo: str) -> list[str]:
    """The comparisons of all rows of the dataset's files, as anybody reads them."""
    paths = [path for path in HfApi().list_repo_files(repo, repo_type="dataset") if path.startswith("data/")]
    files = [Path(HfApi().hf_hub_download(repo, path, repo_type="dataset")) for path in paths]
    return sorted(json.loads(line)["comparison"] for file in files for line in file.read_text().splitlines())


def test_the_dataset_loads_and_its_card_is_valid(hub_url, namespace, tmp_path):
    from datasets import load_dataset

    repo = f"{namespace}/repartee-votes"
    log = VoteLog(repo, tmp_path)
    log.add(vote(1))
    log.close()
    [row] = load_dataset(repo, split="train")
    assert (row["chosen"], row["replies"]["sft"], row["shown"]) == (["base", "dpo"], "Yes.", [["sft"], ["base", "dpo"]])
    card = DatasetCard.load(repo)
    card.validate(repo_type="dataset")
    assert repo in card.text


def test_a_card_that_somebody_wrote_is_left_alone(hub_url, namespace, tmp_path):
    repo = f"{namespace}/repartee-votes"
    HfApi().create_repo(repo, repo_type="dataset")
    HfApi().upload_file(path_or_fileobj=b"mine", path_in_repo="README.md", repo_id=repo, repo_type="dataset")
    log = VoteLog(repo, tmp_path)
    log.add(vote(1))
    log.close()
    with open(HfApi().hf_hub_download(repo, "README.md", repo_type="dataset")) as file:
        assert file.read() == "mine"


def test_files_of_the_dead_are_pushed_and_deleted_and_those_of_the_living_are_not(hub_url, namespace, tmp_path):
    repo = f"{namespace}/repartee-votes"
    gone, living = VoteLog(repo, tmp_path, every=600), VoteLog(repo, tmp_path, every=600)
    gone.add(vote(1))
    living.add(vote(2))
    dead(gone)
    with gone._path.open("ab") as torn:
        torn.write(b'{"comparison": "c9", "ti')  # cut off while it was written: nobody was told that it counts
    later = VoteLog(repo, tmp_path, every=600)
    later.close()
    assert [vote.comparison for vote in votes(repo)] == ["c1"]
    assert not gone._path.exists()
    assert living._path.exists()
    living.close()
    assert sorted(vote.comparison for vote in votes(repo)) == ["c1", "c2"]


def test_a_file_under_lock_is_never_taken_for_a_dead_ones(tmp_path):
    from hub.votes.log import lock_abandoned

    path = tmp_path / "x.jsonl"
    file = create_locked(path)
    assert lock_abandoned(path) is None
    os.close(file)
    again = lock_abandoned(path)
    assert again is not None
    os.close(again)
    assert lock_abandoned(tmp_path / "gone.jsonl") is None


def test_a_disk_that_takes_half_a_vote_spoils_no_other(tmp_path, monkeypatch):
    log = VoteLog("nobody/votes", tmp_path, every=600)
    log.add(vote(1))
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:20]))
    with pytest.raises(OSError, match="part of the vote"):
        log.add(vote(2))
    monkeypatch.undo()
    log.add(vote(3))
    assert [vote.comparison for vote in log.votes()] == ["c1", "c3"]
    dead(log)


def test_a_line_that_is_no_vote_is_named(hub_url, namespace):
    repo = f"{namespace}/repartee-votes"
    HfApi().create_repo(repo, repo_type="dataset")
    HfApi().upload_file(path_or_fileobj=b"{}\n", path_in_repo="data/x.jsonl", repo_id=repo, repo_type="dataset")
    with pytest.raises(UserError, match=r"x\.jsonl, line 1"):
        votes(repo)


def test_votes_of_many_threads_are_whole_lines(tmp_path):
    log = VoteLog("nobody/votes", tmp_path, every=600)
    threads = [
        threading.Thread(target=lambda start=start: [log.add(vote(n)) for n in range(start, start + 10)])
        for start in range(0, 80, 10)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(vote.comparison[1:]) for vote in log.votes()) == list(range(80))
    dead(log)


def test_every_vote_is_there_once_though_the_hub_fails_half_the_time_and_the_voter_is_killed(
    hub_url, namespace, tmp_path, monkeypatch
):
    """The Hub fails half of the requests in every way that it can, and the process is killed three times."""
    repo, folder, chance = f"{namespace}/repartee-votes", tmp_path / "votes", random.Random(8)
    monkeypatch.setattr(fault_proxy, "SHARE", 0.5)
    told: set[int] = set()
    deleted: set[str] = set()
    with fault_proxy.FaultProxy(hub_url) as proxy:
        proxy.chaos = random.Random(5)
        environment = os.environ | {"HF_ENDPOINT": proxy.url, "PYTHONPATH": os.getcwd()}
        for life in range(KILLS + 1):
            on_disk = {
                int(json.loads(line)["comparison"][1:])
                for path in folder.glob("*.jsonl")
                for line in path.open()
                if "comparison" in line
            }
            told |= on_disk
            assert told == set(range(len(told))), "a vote that was told to count is gone"
            command = [sys.executable, "-c", VOTER, repo, str(folder), str(len(told)), str(COUNT)]
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            kill_at = COUNT * (life + 1) // (KILLS + 1) + chance.randrange(COUNT // 10)
            for line in process.stdout:
                if line.startswith("deleted"):
                    deleted.add(line.split()[1])
                if line.strip().isdecimal():
                    told.add(int(line))
                    if life < KILLS and int(line) >= kill_at:
                        process.kill()
            process.wait(timeout=120)
        assert told == set(range(COUNT))
        proxy.chaos = None
        last = VoteLog(repo, folder, every=600)
        deadline = time.monotonic() + 60
        while list(folder.glob("*.jsonl")) and time.monotonic() < deadline:
            time.sleep(0.1)
        last.close()
    paths = [path for path in HfApi().list_repo_files(repo, repo_type="dataset") if path.startswith("deleted/")]
    gone = [deleted_in(Path(HfApi().hf_hub_download(repo, path, repo_type="dataset")).read_bytes()) for path in paths]
    assert deleted <= set().union(*gone), "a deletion that was told to be done is gone"
    left = sorted({f"c{number}" for number in range(COUNT)} - set().union(*gone))
    assert published(repo) == left
    assert sorted(vote.comparison for vote in votes(repo)) == left
