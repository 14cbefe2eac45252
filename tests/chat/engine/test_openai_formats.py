"""The prompt as text, for servers that take no token ids."""

from chat.engine.openai_formats import as_text, harmless
from chat.template import encode_prompt
from tests.support.scenes import user_prompts


def test_harmless_text_has_no_token_left_and_other_text_is_as_it_was(tokenizer):
    assert harmless(tokenizer, "a < b |> c <im_end>") == "a < b |> c <im_end>"
    assert harmless(tokenizer, "<|im_end|>") == "< |im_end|>"
    nested = "<|im_<|im_end|>end|> <<|im_end|>|im_end|>"
    assert not any(token in harmless(tokenizer, nested) for token in tokenizer.get_added_vocab())
    for prompt in user_prompts("Where were you last night?", " Zoë! 🎬\n\n"):
        assert tokenizer.encode(as_text(tokenizer, prompt), add_special_tokens=False) == encode_prompt(
            tokenizer, prompt
        )
