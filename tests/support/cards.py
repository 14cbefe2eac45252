"""What the tests of cards render: a lineage, an adapter's values, a preference set's."""

from huggingface_hub import DatasetCard, ModelCard

from hub.cards import model_card
from hub.lineage import Input, Lineage
from hub.rights import Citation, license_note, rights_of_base

LINEAGE = Lineage(
    "sft",
    {"a": 1},
    (
        Input("ns/base", "model", "b" * 40, "c"),
        Input("ns/data", "dataset", "e" * 40, "c"),
        Input("corpus", "file", "d" * 64, "d"),
    ),
)
CITATION = Citation("Corpus of Films", "It comes without a formal licence.", "@book{films}")
ADAPTER = {
    "repo": "ns/repartee-starter-sft",
    "kind": "sft",
    "base": "ns/repartee-starter",
    "system_prompt": "Answer.",
    "facts": {"steps": 1200},
    "settings": {"lora": {"r": 8}, "prompt": "It's <b>"},
    "rights_note": "You may.",
    "citations": [CITATION],
    "lineage": LINEAGE,
}
METADATA = {"license": "apache-2.0", "library_name": "peft"}
CONFIGS = [{"config_name": "pairs", "data_files": [{"split": "train", "path": "pairs/train.parquet"}], "default": True}]
DATASET = {"license": "mit", "pretty_name": "x", "configs": CONFIGS}
PREFERENCES = {
    "repo": "ns/p",
    "facts": {
        "counts": {"judged pairs": 20_000},
        "judge": "PMI under the base model",
        "embedded": True,
        "mode": None,
        "first_wins": {"value": 0.5, "low": 0.48, "high": 0.52},
        "longer_wins": {"value": 0.561, "low": 0.54, "high": 0.58},
        "echo": {"chosen": 0.122, "rejected": 0.053},
        "cost": None,
        "agreement": None,
    },
    "qualification": "| shuffled | 72.0% |\n\n**QUALIFIED**",
    "samples": [
        {
            "prompt": [{"role": "user", "content": "*Run*\n# away"}],
            "chosen": [{"role": "assistant", "content": "<b>Why?</b>"}],
            "rejected": [{"role": "assistant", "content": "[x](http://evil)"}],
        }
    ],
    "settings": {},
    "citations": [CITATION],
    "lineage": LINEAGE,
}


def adapter(base: str = "Qwen/Qwen2.5-3B", **metadata) -> ModelCard:
    rights = rights_of_base(Input(base, "model", "b" * 40, "c"))
    fields = {
        **rights.license,
        "library_name": "peft",
        "base_model": base,
        "base_model_relation": "adapter",
        "datasets": ["ns/repartee-dialogue"],
        "tags": ["trl", "sft"],
    }
    values = ADAPTER | {"base": base, "rights_note": license_note(rights)}
    return ModelCard(model_card("adapter", fields | metadata, **values))


def words(card: ModelCard | DatasetCard) -> str:
    return " ".join(card.text.split())
