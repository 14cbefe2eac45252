"""The Results tab and the About tab: what was measured, and what this is and is not."""

from __future__ import annotations

import gradio as gr

from hub.names import Names
from space.chat_handlers import VARIANT_LABELS
from space.results import ModelFacts, PublishedResults

WHAT = """
### What this is
A small language model that was taught to answer a line of film dialogue with the next line. Three stages of the
same model answer: **base**, before any of it; **fine-tuned**, after training on pairs of film lines; **DPO**, after
learning from pairs of its own replies which one is the better.

### What it is not
It is no assistant and knows nothing: it does not answer questions, remember you or look anything up. Replies are
inventions of at most 64 tokens in the manner of film dialogue. They can be rude, senseless or wrong, and they
repeat what films have said about people. Do not use them as advice, or as the words of anybody.
"""
DATA_AND_LINEAGE = """
### Data and lineage
Trained on [{dialogue}]({hub}/datasets/{dialogue}), lines of film dialogue split by film; preferences in
[{preferences}]({hub}/datasets/{preferences}). Every artifact carries a `lineage.json` with the full commit of each
of its inputs; `python -m hub.lineage {dpo} --verify` walks it down to the corpus. The Cornell Movie-Dialogs Corpus
has no formal licence; cite Danescu-Niculescu-Mizil and Lee (2011).

### What is kept
Nothing of what you write, unless you vote: a vote publishes the line, the scene, the replies and the choice in
[{votes}]({hub}/datasets/{votes}), with the time to the minute, without name or address. Logs hold no visitor's
words.
"""
PROGRAMS = """
### For programs
Python (`pip install gradio_client`):
```python
from gradio_client import Client

client = Client("ADDRESS OF THIS PAGE")
*replies, _, _, _ = client.predict("Where were you last night?", api_name="/compare")  # base, fine-tuned, DPO
conversation, *_ = client.predict("Where were you last night?", "dpo", api_name="/chat")
```
JavaScript (`npm install @gradio/client`):
```javascript
import { Client } from "@gradio/client";

const client = await Client.connect("ADDRESS OF THIS PAGE");
const compared = await client.predict("/compare", { message: "Where were you last night?" });
const chatted = await client.predict("/chat", { message: "Where were you last night?", who: "dpo" });
console.log(compared.data.slice(0, 3), chatted.data[0].at(-1).content);
```
`client.view_api()` names every parameter: temperature, top_k, top_p, a seed and a scene are optional.
"""


def results_tab(results: PublishedResults) -> None:
    """The published evaluation: its drawings and its table."""
    if results.pictures:
        drawn = (f'<img src="{one}" alt="Bar charts of figures in the table below">' for one in results.pictures)
        gr.HTML("\n".join(drawn), elem_id="figure")
    gr.Markdown(results.text, elem_id="results")


def about_tab(models: ModelFacts, names: Names) -> None:
    """What the models are and are not, what they were made from, and under which licences."""
    from huggingface_hub import constants

    hub = constants.ENDPOINT
    rows = "\n".join(
        f"| {VARIANT_LABELS[variant]} | [{ref.repo}]({hub}/{ref.repo}/tree/{ref.revision}) "
        f"| `{str(ref.revision)[:12]}` | {models.licences[variant]} |"
        for variant, ref in models.refs.items()
    )
    table = f"### Models\n| variant | model | commit | licence |\n|---|---|---|---|\n{rows}\n"
    text = DATA_AND_LINEAGE.format(
        hub=hub, dialogue=names.dialogue, preferences=names.preferences, votes=names.votes, dpo=names.adapter("dpo")
    )
    gr.Markdown(f"{WHAT}\n{table}\n{text}\n{PROGRAMS}", elem_id="about")
