"""The floor is another film's reply, of like length, and nearly every reply is used once."""

import random

from eval.controls import shuffled_replies

LONG, SHORT = "I was at the pier when you called me, number {}.", "No {}."


def pair(index, films):
    text = (LONG if index % 2 else SHORT).format(index)
    return {"movie_id": f"m{index % films}", "completion": [{"role": "assistant", "content": text}]}


def test_another_films_reply_of_like_length_by_seed():
    pairs = [pair(index, films=7) for index in range(60)]
    random.Random(0).shuffle(pairs)
    drawn = shuffled_replies(pairs, seed=1)
    film_of = {one["completion"][0]["content"]: one["movie_id"] for one in pairs}
    assert all(film_of[text] != one["movie_id"] for text, one in zip(drawn, pairs, strict=True))
    unlike = [abs(len(t) - len(p["completion"][0]["content"])) > 5 for t, p in zip(drawn, pairs, strict=True)]
    assert sum(unlike) <= 4  # the last to draw take what is left
    assert len(set(drawn)) >= 56
    assert drawn == shuffled_replies(pairs, seed=1) != shuffled_replies(pairs, seed=2)


def test_a_reply_that_two_films_have_is_no_floor_where_there_is_another():
    pairs = [
        {"movie_id": f"m{index}", "completion": [{"content": text}]} for index, text in enumerate(("No.", "No.", "So."))
    ]
    assert shuffled_replies(pairs, seed=1)[0] == "So."


def test_one_film_has_no_floor():
    assert shuffled_replies([pair(index, films=1) for index in range(4)], seed=1) is None
