"""The recorded payloads are still what the servers send. REPARTEE_RECORD=1 writes them anew."""

from __future__ import annotations

import json
import os

from chat.engine.openai_formats import DIALECTS
from chat.sampling import Sampling
from tests.support.recordings import FOLDER, exchange, form, recorded, requests_of
from tests.support.scenes import user_prompts


def test_the_server_sends_what_was_recorded_of_it(running, published, variants, kind):
    [dialect] = [one for one in DIALECTS if one.name == kind.dialect]
    [prompt] = user_prompts("Where were you last night?")
    body = dialect.body(variants.tokenizer, prompt, Sampling(temperature=0, max_new_tokens=4), 1)
    fields = {**body, **body.pop("extra_body")}
    fields.pop("extra_body", None)
    server = running.server("sft")  # which has a chat template, whatever its base has
    rows = [exchange(server.url, row) for row in requests_of(server.model, fields.pop("prompt"), fields)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    text = text.replace(server.model, "sft")  # a folder of this machine's
    if os.environ.get("REPARTEE_RECORD"):
        (FOLDER / f"{kind.name}.jsonl").write_text(text)
    before = recorded(kind.name)
    assert before, f"{kind.name} was not recorded: run this with REPARTEE_RECORD=1"
    for row in rows:
        old = before[row["what"]]
        compared = [old] if published.real else [old, row]
        if any("chat template" in json.dumps(one["response"]) for one in compared):
            continue  # the starter's base has none, which vLLM says
        assert row["status"] == old["status"], (row["what"], row["response"])
        assert form(row["response"]).keys() == form(old["response"]).keys(), row["what"]
