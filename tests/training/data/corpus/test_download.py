"""Downloads: the name is of the path, whatever the query; what is no corpus is not kept."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from training.data.corpus import sources
from training.data.corpus.assemble import CorpusError
from training.recipe_schema import Source

TALKS = b"".join(json.dumps({"dialog": [f"Who goes {n}?", "A friend."]}).encode() + b"\n" for n in range(3))
PAGE = b"<!DOCTYPE html><html><body>Sign in</body></html>"


@pytest.fixture
def served():
    """An address, and what it answers with: always status 200."""
    answers = [TALKS]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answers[0])

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("/talks.jsonl?download=true&file=x.zip", "talks"),
        ("/talks.jsonl#top", "talks"),
        ("/my%20talks.jsonl", "my talks"),
        ("/files/42?format=jsonl", "42"),
        ("/?id=42", "corpus"),
    ],
)
def test_an_address_with_a_query_keeps_its_form(served, tmp_path, address, name):
    located = sources.locate(Source(f" {served[0]}{address} "), tmp_path)
    assert located.name == name
    assert len(list(located.read().talks())) == 3
    served[1][0] = PAGE  # it is downloaded once
    assert sources.locate(Source(f"{served[0]}{address}"), tmp_path).input == located.input


@pytest.mark.parametrize("answer", [PAGE, b"PK\x03\x04 and no end", b"PAR1 and no end", b"a,b\n"])
def test_a_download_that_is_no_corpus_is_deleted_at_once(served, tmp_path, answer):
    served[1][0] = answer
    source = Source(f"{served[0]}/talks.csv")
    with pytest.raises(CorpusError, match=r"talks.csv: .* is deleted\)") as caught:
        sources.locate(source, tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_download_that_cannot_be_read_as_a_corpus_is_deleted_when_it_is_read(served, tmp_path):
    served[1][0] = b'{"error": "too many requests"}'
    source = Source(f"{served[0]}/talks.jsonl")
    with pytest.raises(CorpusError, match=r"no column of conversations among error \(text\).* is deleted"):
        sources.locate(source, tmp_path).read()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    served[1][0] = TALKS
    assert len(list(sources.locate(source, tmp_path).read().talks())) == 3
