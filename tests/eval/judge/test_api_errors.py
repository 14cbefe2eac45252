"""What endpoints say about errors: the kinds are told apart by words, each server's own way of nesting them read."""

import pytest

from eval.judge.api_errors import PromptRejected, RequestRejected, error_words, parse_retry_after, permanent_error
from eval.judge.settings import JudgeSettings
from hub.errors import UserError

SETTINGS = JudgeSettings(model="m", base_url="http://127.0.0.1:1/v1", key_env="K")


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (400, {"code": "content_filter", "message": "Filtered."}, PromptRejected, "refuses this prompt"),
        (400, {"message": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}, PromptRejected, "(400): x"),
        (400, {"message": "Content Exists Risk"}, PromptRejected, "Content Exists Risk"),
        (403, {"message": "Your input was flagged"}, PromptRejected, "flagged"),
        (400, {"code": "context_length_exceeded", "message": "8192 tokens"}, PromptRejected, "8192 tokens"),
        (400, {"message": "Unsupported value: 'temperature'"}, RequestRejected, "refuses the request (400)"),
        (403, {"message": "not allowed to sample with logprobs"}, RequestRejected, "403: not allowed"),
        (422, {"message": {"detail": [{"loc": ["n"]}]}}, RequestRejected, '[{"loc": ["n"]}]'),
        (501, {"detail": "top_logprobs is not implemented"}, RequestRejected, "not implemented"),
        (500, {"error": "logprobs are not supported"}, RequestRejected, "(500): logprobs"),
        (400, {"message": "Your credit balance is too low"}, UserError, "no quota is left"),
        (429, {"code": "insufficient_quota", "message": "x"}, UserError, "no quota is left"),
        (402, "", UserError, "no quota is left"),
        (400, {"message": "API key not valid. Pass one."}, UserError, "refuses the key in K"),
        (401, None, UserError, "refuses the key in K (401: no words)"),
        (404, "<!DOCTYPE html><p>lost</p>", RequestRejected, "not there (404: a web page)"),
    ],
)
def test_a_permanent_error_is_of_its_kind_and_says_the_endpoints_words(status, body, kind, says):
    error = permanent_error(status, body, SETTINGS)
    assert type(error) is kind
    assert says in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_what_passes_is_not_permanent(status):
    assert permanent_error(status, {"message": "try again; the content is long"}, SETTINGS) is None


def test_words_are_found_wherever_they_lie_and_are_short():
    assert error_words({"error": {"message": "one\n two"}}) == "one two"
    assert error_words({"detail": "three"}) == "three"
    assert error_words({"message": {"detail": [{"msg": "four"}]}}) == '[{"msg": "four"}]'
    assert len(error_words("x" * 5000)) == 303


def test_retry_after():
    assert parse_retry_after("1.5") == 1.5
    assert parse_retry_after("Wed, 21 Oct 2026 07:28:00 GMT") is None
    assert parse_retry_after(None) is None
    assert parse_retry_after("-3") == 0
