"""Rows of libraries that read and write the Hub: datasets, transformers, peft, pandas, polars, duckdb."""

import io
import json

import pytest

from tests.support.conformance import Hub, row

ROWS_OF = {"line": ["Where were you?", "Here.", "Since when?"], "film": [1, 1, 2]}


def parquet(hub: Hub) -> str:
    """A dataset repository with one parquet file, and its name."""
    import pandas

    buffer = io.BytesIO()
    pandas.DataFrame(ROWS_OF).to_parquet(buffer)
    return hub.repo("dataset", data__train_parquet=buffer.getvalue())


@row("datasets", "Dataset.push_to_hub, load_dataset", "two configurations and splits, the card's metadata, shards")
def push(hub: Hub):
    from datasets import Dataset, DatasetDict, get_dataset_config_names, load_dataset

    name = f"{hub.namespace}/lines"
    lines = Dataset.from_dict(ROWS_OF)
    DatasetDict(train=lines, test=lines.select([0])).push_to_hub(name, num_shards={"train": 2, "test": 1})
    lines.push_to_hub(name, "other", private=False)
    assert sorted(get_dataset_config_names(name)) == ["default", "other"]
    assert load_dataset(name, split="train")["line"] == ROWS_OF["line"]
    assert load_dataset(name, "other", split="train").num_rows == 3


@row("datasets", "load_dataset(streaming=True)", "row by row from parquet, at a tag")
def stream(hub: Hub):
    from datasets import load_dataset

    name = parquet(hub)
    hub.api.create_tag(name, tag="v1", repo_type="dataset")
    rows = load_dataset(name, split="train", streaming=True, revision="v1")
    assert [row["line"] for row in rows] == ROWS_OF["line"]


@row("datasets", "load_dataset (CSV, JSON lines)", "formats found by the files' names; data_files by pattern")
def formats(hub: Hub):
    from datasets import load_dataset

    text = "\n".join(map(json.dumps, [{"a": 1}, {"a": 2}]))
    name = hub.repo("dataset", train_jsonl=text)
    assert load_dataset(name, split="train")["a"] == [1, 2]
    name = hub.repo("dataset", "csv", d__one_csv="a\n3\n", d__two_csv="a\n4\n")
    assert sorted(load_dataset(name, data_files="d/*.csv", split="train")["a"]) == [3, 4]


@row("datasets", "IterableDataset.push_to_hub", "written from a stream")
def iterable(hub: Hub):
    from datasets import Dataset, load_dataset

    name = f"{hub.namespace}/stream"
    Dataset.from_dict(ROWS_OF).to_iterable_dataset().push_to_hub(name)
    assert load_dataset(name, split="train")["line"] == ROWS_OF["line"]


def tiny():
    from transformers import Qwen2Config, Qwen2ForCausalLM

    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return Qwen2ForCausalLM(Qwen2Config(vocab_size=64, num_key_value_heads=2, **shape))


def tokenizer():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"film": 0, "line": 1}, "film")))


@row("transformers", "push_to_hub, from_pretrained", "weights, tokenizer and generation settings come back equal")
def transformers(hub: Hub):
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerFast

    name, model = f"{hub.namespace}/model", tiny()
    model.generation_config.max_new_tokens = 7
    model.push_to_hub(name, max_shard_size="5KB")
    tokenizer().push_to_hub(name)
    assert "model.safetensors.index.json" in hub.api.list_repo_files(name)
    pulled = AutoModelForCausalLM.from_pretrained(name)
    assert all(pulled.state_dict()[key].equal(tensor) for key, tensor in model.state_dict().items())
    assert PreTrainedTokenizerFast.from_pretrained(name).get_vocab() == {"film": 0, "line": 1}
    assert GenerationConfig.from_pretrained(name).max_new_tokens == 7
    assert AutoConfig.from_pretrained(name, revision=hub.api.model_info(name).sha).hidden_size == 16


@row("transformers", "from_pretrained of a private model, offline", "refused without a token; then from the cache")
def transformers_private(hub: Hub):
    from transformers import AutoConfig

    name = f"{hub.namespace}/hidden"
    tiny().config.push_to_hub(name, private=True)
    with pytest.raises(OSError, match=r"not a valid model identifier|gated|private|token"):
        AutoConfig.from_pretrained(name, token=False)
    AutoConfig.from_pretrained(name)
    assert AutoConfig.from_pretrained(name, local_files_only=True).hidden_size == 16


@row("peft", "PeftModel.push_to_hub, AutoPeftModelForCausalLM.from_pretrained", "an adapter finds its base by name")
def peft(hub: Hub):
    import torch
    from peft import AutoPeftModelForCausalLM, LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base, adapter = f"{hub.namespace}/base", f"{hub.namespace}/adapter"
    tiny().push_to_hub(base)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, target_modules="all-linear"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    model.push_to_hub(adapter)
    tokens = torch.tensor([[1, 2, 3]])
    pulled = AutoPeftModelForCausalLM.from_pretrained(adapter)
    assert pulled.peft_config["default"].base_model_name_or_path == base
    assert torch.allclose(pulled(tokens).logits, model(tokens).logits)


@row("pandas", "read_parquet, read_csv, to_parquet (hf://)", "through HfFileSystem, which fsspec knows by name")
def pandas(hub: Hub):
    import pandas

    name = parquet(hub)
    frame = pandas.read_parquet(f"hf://datasets/{name}/data/train.parquet")
    assert frame.to_dict("list") == ROWS_OF
    frame.to_parquet(f"hf://datasets/{name}/data/again.parquet")
    assert pandas.read_parquet(f"hf://datasets/{name}@main/data/again.parquet").equals(frame)
    hub.api.upload_file(path_or_fileobj=b"a,b\n1,2\n", path_in_repo="t.csv", repo_id=name, repo_type="dataset")
    assert pandas.read_csv(f"hf://datasets/{name}/t.csv")["b"].tolist() == [2]


@row("polars", "scan_parquet, read_csv over HTTP", "the columns that are asked for, by Range")
def polars(hub: Hub):
    import polars

    name = parquet(hub)
    frame = polars.scan_parquet(f"{hub.url}/datasets/{name}/resolve/main/data/train.parquet")
    assert frame.filter(polars.col("film") == 2).select("line").collect()["line"].to_list() == ["Since when?"]
    hub.api.upload_file(path_or_fileobj=b"a,b\n1,2\n", path_in_repo="t.csv", repo_id=name, repo_type="dataset")
    assert polars.read_csv(f"{hub.url}/datasets/{name}/resolve/main/t.csv")["b"].to_list() == [2]


@row("duckdb", "read_parquet (HfFileSystem)", "SQL over a glob of files, registered as hf://")
def duckdb(hub: Hub):
    import duckdb
    from huggingface_hub import HfFileSystem

    name = parquet(hub)
    database = duckdb.connect()
    database.register_filesystem(HfFileSystem(skip_instance_cache=True))
    query = (
        f"select film, count(*) from read_parquet('hf://datasets/{name}/data/*.parquet') group by film order by film"
    )
    assert database.sql(query).fetchall() == [(1, 2), (2, 1)]


@row("pyarrow", "parquet.read_table (HfFileSystem)", "columns of a remote file")
def pyarrow(hub: Hub):
    from huggingface_hub import HfFileSystem
    from pyarrow import parquet as files

    fs = HfFileSystem(skip_instance_cache=True)
    table = files.read_table(f"datasets/{parquet(hub)}/data/train.parquet", filesystem=fs, columns=["film"])
    assert table.to_pydict() == {"film": [1, 1, 2]}


@row("tokenizers", "Tokenizer.from_pretrained", "the Rust client's own way of asking")
def tokenizers(hub: Hub):
    from tokenizers import Tokenizer

    name = f"{hub.namespace}/words"
    tokenizer().push_to_hub(name)
    assert Tokenizer.from_pretrained(name).get_vocab() == {"film": 0, "line": 1}


@row(
    "gradio_client",
    'Client("NAMESPACE/SPACE")',
    "not running is said; a running one is in tests/hub/local/test_spaces.py",
)
def gradio(hub: Hub):
    from gradio_client import Client

    name = hub.repo("space", app_py="1")
    with pytest.raises(ValueError, match="Could not find Space"):
        Client(name, verbose=False)
