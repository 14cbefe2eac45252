"""The snippet of an adapter's card, run."""

import re

from huggingface_hub import ModelCard

from hub.cards import model_card
from hub.publish import publish
from tests.support.cards import ADAPTER, LINEAGE, METADATA


def test_the_snippet_of_an_adapter_card_runs_and_its_reply_ends(namespace, starter, tmp_path):
    """Pasted, as a reader would. The model says nothing but <|im_end|>, so a reply that goes on has missed the stop."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    from chat.template import configure_tokenizer
    from training.finetune.loading import save_adapter

    base, repo = f"{namespace}/base", f"{namespace}/adapter"
    tokenizer = configure_tokenizer(AutoTokenizer.from_pretrained(starter))
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = Qwen2Config(**sizes, num_key_value_heads=1, vocab_size=len(tokenizer), tie_word_embeddings=False)
    config.eos_token_id = config.bos_token_id = config.pad_token_id = tokenizer.pad_token_id  # as a base model has it
    model = Qwen2ForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    for parameter in (model.model.embed_tokens.weight, model.model.norm.weight):
        torch.nn.init.ones_(parameter)
    with torch.no_grad():
        model.lm_head.weight[tokenizer.eos_token_id] = 1
    model.save_pretrained(tmp_path / "base")
    files = {file.name: file for file in (tmp_path / "base").iterdir()}
    publish(base, "model", files, LINEAGE, "base")
    tuned = get_peft_model(Qwen2ForCausalLM.from_pretrained(base), LoraConfig(r=1, target_modules=["q_proj"]))
    card = model_card("adapter", METADATA, **ADAPTER | {"repo": repo, "base": base})
    publish(repo, "model", save_adapter(tuned, tokenizer, tmp_path / "a") | {"README.md": card.encode()}, LINEAGE, "a")

    code = re.search(r"```python\n(.*?)```", ModelCard.load(repo).text, re.DOTALL)
    assert code
    left: dict = {}
    exec(code[1], left)
    reply = left["reply"][0, left["prompt"]["input_ids"].shape[1] :]
    assert reply.tolist() == [tokenizer.eos_token_id]
