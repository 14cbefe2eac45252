"""The Results tab and the About tab: what was measured, and what this is and is not."""

from __future__ import annotations

import gradio as gr

from hub.names import Names
from space.conversation import VARIANT_LABELS
from space.results import ModelFacts, PublishedResults

WHAT = """
## What this is
A small language model that was taught to answer a line of film dialogue with the next line. Three stages of the
same model answer: **base**, before any of it; **fine-tuned**, after training on pairs of film lines; **DPO**, after
learning from pairs of its own replies which one is the better.

## What it is not
It is no assistant and knows nothing: it does not answer questions, remember you or look anything up. Replies are
inventions of at most 64 tokens in the manner of film dialogue. They can be rude, senseless or wrong, and they
repeat what films have said about people. Do not use them as advice, or as the words of anybody.
"""
DATA_AND_LINEAGE = """
## Data and lineage
Trained on [{dialogue}]({hub}/datasets/{dialogue}), lines of film dialogue split by film; preferences in
[{preferences}]({hub}/datasets/{preferences}). Every artifact carries a `lineage.json` with the full commit of each
of its inputs; `python -m hub.lineage {dpo} --verify` walks it down to the corpus. The Cornell Movie-Dialogs Corpus
has no formal licence; cite Danescu-Niculescu-Mizil and Lee (2011).

## What is kept
Nothing of what you write, unless you vote: a vote publishes the line, the scene, the replies and the choice in
[{votes}]({hub}/datasets/{votes}), with the time to the minute, without name or address. Logs hold no visitor's
words. A cookie, random and gone with your browser, keeps strangers out of your conversation.
"""
PROGRAMS = """
## For programs
Python (`pip install gradio_client`):
```python
from gradio_client import Client

client = Client("ADDRESS OF THIS PAGE")
answers = client.predict("Where were you last night?", api_name="/compare")  # answers["base"]["reply"], "sft", "dpo"
answer = client.predict("Where were you last night?", variant="dpo", api_name="/chat")
```
JavaScript (`npm install @gradio/client`):
```javascript
import { Client } from "@gradio/client";

const client = await Client.connect("ADDRESS OF THIS PAGE");
const compared = await client.predict("/compare", { line: "Where were you last night?" });
const chatted = await client.predict("/chat", { line: "Where were you last night?", variant: "dpo" });
console.log(compared.data[0], chatted.data[0].reply);
```
An answer has `reply`, `ended` (by itself, or cut at 64 tokens), `tokens` and `seconds`. `client.view_api()` names every
parameter: temperature, top_k, top_p, a seed and a scene are optional.
"""


def results_tab(results: PublishedResults) -> gr.HTML:
    """The published evaluation: its figures as bars, and its table; and what visitors chose, whose place it returns."""
    if results.panels:
        gr.HTML(f'<h2>What was measured</h2><div id="figure">{results.panels}</div>')
    gr.Markdown(results.text, elem_id="results")
    gr.HTML("<h2>What visitors chose, blind</h2>")
    return gr.HTML(elem_id="chosen")


def about_tab(models: ModelFacts, names: Names) -> None:
    """What the models are and are not, what they were made from, and under which licences."""
    from huggingface_hub import constants

    hub = constants.ENDPOINT
    rows = "\n".join(
        f"| {VARIANT_LABELS[variant]} | [{ref.repo}]({hub}/{ref.repo}/tree/{ref.revision}) "
        f"| `{str(ref.revision)[:12]}` | {models.licences[variant]} |"
        for variant, ref in models.refs.items()
    )
    table = f"## Models\n| variant | model | commit | licence |\n|---|---|---|---|\n{rows}\n"
    if "dpo" not in models.refs:
        table += "\nNo DPO adapter of this family is published yet: base and fine-tuned model answer here.\n"
    text = DATA_AND_LINEAGE.format(
        hub=hub, dialogue=names.dialogue, preferences=names.preferences, votes=names.votes, dpo=names.adapter("dpo")
    )
    gr.Markdown(f"{WHAT}\n{table}\n{text}\n{PROGRAMS}", elem_id="about")
