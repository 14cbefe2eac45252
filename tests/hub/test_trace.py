"""The tree of an artifact's inputs, down to the corpus."""

import subprocess
import sys

import pytest
from huggingface_hub import HfApi

from hub.errors import UserError
from hub.lineage import pin
from hub.names import Names
from hub.publish import publish
from hub.trace import find_repo, lineage_tree
from tests.support.lineages import lineage


def test_the_tree_reaches_the_corpus(namespace):
    names = Names(namespace, "starter")
    data = publish(names.dialogue, "dataset", {"d": b"d"}, lineage("prepare"), "m")
    HfApi().create_repo(f"{namespace}/base")  # somebody else's: no lineage of ours
    base = pin(f"{namespace}/base", "model")
    inputs = (base, pin(names.dialogue, "dataset"))
    sft = publish(names.adapter("sft"), "model", {"a": b"a"}, lineage("sft", inputs), "m")
    publish(names.dialogue, "dataset", {"d": b"newer"}, lineage("prepare"), "m")  # the tree shows what was used
    hub = HfApi().endpoint
    expected = [
        f"model {namespace}/repartee-starter-sft@{sft}  (sft)  {hub}/{namespace}/repartee-starter-sft/tree/{sft}",
        f"  model {namespace}/base@{base.revision}  {hub}/{namespace}/base/tree/{base.revision}",
        f"  dataset {namespace}/repartee-dialogue@{data}  (prepare)"
        f"  {hub}/datasets/{namespace}/repartee-dialogue/tree/{data}",
        f"    file corpus sha256 {'a' * 64}",
    ]
    assert list(lineage_tree(names.adapter("sft"), "model")) == expected
    command = [sys.executable, "-m", "hub.lineage", names.adapter("sft")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines() == expected


def test_a_name_is_found_whatever_its_type(hub_url):
    from huggingface_hub import whoami

    own = whoami()["name"]
    publish(f"{own}/found-dataset", "dataset", {"d": b"d"}, lineage(), "m")
    assert find_repo("found-dataset") == find_repo(f"{own}/found-dataset") == (f"{own}/found-dataset", "dataset")
    with pytest.raises(UserError, match="check the name"):
        find_repo("found-nowhere")


def test_a_tree_of_nothing_is_an_error(namespace):
    with pytest.raises(UserError, match=f"dataset {namespace}/typo"):
        list(lineage_tree(f"{namespace}/typo", "dataset"))
