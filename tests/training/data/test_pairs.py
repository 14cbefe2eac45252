"""Windows, splits, rules and weights, on small corpora whose every row can be checked by eye."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.template import SYSTEM_PROMPT
from training.data.corpus.assemble import Film, Reading, Speaker, WeightedCorpus, assemble
from training.data.dataset_stats import QUANTILES, FilmTraits, count_quantile, shares, widest
from training.data.pairs import build_tables
from training.data.splits import SPLIT_NAMES, split_of
from training.recipe_schema import Data

FILMS = [Film(f"m{n}", f"film {n}", 1990 + n, 6.5, 100, ("drama",)) for n in range(40)]


def corpus(talks: list[tuple[int, list[str]]]):
    """A corpus of conversations, each the place of its film and its lines."""
    reading = Reading(FILMS, [Speaker("ADA", "f", 1), Speaker("BO")], [], [], [], [])
    for film, lines in talks:
        places = range(len(reading.line_ids), len(reading.line_ids) + len(lines))
        reading.line_ids += [f"L{place}" for place in places]
        reading.raw_text += lines
        reading.speaker_of += [place % 2 for place in places]
        reading.conversations.append((film, list(places)))
    return assemble(reading)


def pairs(talks, weight=1.0, **settings):
    return build_tables([WeightedCorpus("ours", weight, corpus(talks))], Data(**settings))[0]


def texts(row) -> list[str]:
    return [message["content"] for message in row["prompt"][1:] + row["completion"]]


def everything(tables, config="pairs"):
    return [row for table in tables[config].values() for row in table.to_pylist()]


def in_split(wanted: str) -> list[int]:
    return [place for place, film in enumerate(FILMS) if split_of(film.title, Data().salt) == wanted]


def test_every_row_says_where_it_is_from():
    (row,) = everything(pairs([(3, ["Who <b>is</b> it?", "Me."])]))
    assert row == {
        "prompt": [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": "Who is it?"}],
        "completion": [{"role": "assistant", "content": "Me."}],
        "source": "ours",
        "movie_id": "m3",
        "movie_title": "film 3",
        "year": 1993,
        "rating": 6.5,
        "votes": 100,
        "genres": ["drama"],
        "script_url": None,
        "conversation_id": "m3:L0",
        "line_ids": ["L0", "L1"],
        "speakers": [
            {"name": "ADA", "gender": "f", "position": 1},
            {"name": "BO", "gender": "?", "position": None},
        ],
        "raw_text": ["Who <b>is</b> it?", "Me."],
    }


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        (1, [["a", "b"], ["b", "c"], ["c", "d"], ["x", "y"]]),
        (2, [["a", "b"], ["a", "b", "c"], ["b", "c", "d"], ["x", "y"]]),
        (9, [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d"], ["x", "y"]]),
    ],
)
def test_windows(turns, expected):
    rows = everything(pairs([(0, ["a", "b", "c", "d"]), (0, ["x", "y"])], context_turns=turns))
    assert [texts(row) for row in rows] == expected
    for row in rows:
        roles = [message["role"] for message in row["prompt"] + row["completion"]]
        assert roles[0] == "system"
        assert roles[-1] == "assistant"
        assert roles[-2] == "user"
        assert all(one != other for one, other in pairwise(roles[1:]))
        assert len(row["line_ids"]) == len(row["raw_text"]) == len(row["speakers"]) == len(texts(row))


def test_conversations_end_on_the_assistant():
    rows = everything(pairs([(0, ["a", "b", "c"])]), "conversations")
    assert [(m["role"], m["content"]) for m in rows[0]["messages"]] == [
        ("assistant", "a"),
        ("user", "b"),
        ("assistant", "c"),
    ]


def test_the_split_depends_on_title_and_salt_alone():
    titles = [f"film {number}" for number in range(5_000)]
    splits = [split_of(title, "salt") for title in titles]
    assert splits == [split_of(title.upper() + "!", "salt") for title in titles]
    assert abs(splits.count("test") / 5_000 - 0.20) < 0.02
    assert abs(splits.count("validation") / 5_000 - 0.16) < 0.02
    assert splits != [split_of(title, "pepper") for title in titles]


@pytest.mark.parametrize("split_by", ["film", "conversation", "pair"])
def test_adding_films_moves_nothing(split_by):
    talks = [(film, [f"{film}.{talk}.{line}" for line in range(4)]) for film in range(20) for talk in range(9)]
    more = talks + [(film, [f"{film}.0.{line}" for line in range(4)]) for film in range(20, 40)]
    few, many = pairs(talks, split_by=split_by), pairs(more, split_by=split_by)
    for config in ("pairs", "conversations"):
        for split in SPLIT_NAMES:
            assert few[config][split].to_pylist() == [
                row for row in many[config][split].to_pylist() if int(row["movie_id"][1:]) < 20
            ]
    films = [set(table["movie_id"].to_pylist()) for table in many["pairs"].values()]
    assert (not films[0] & films[1] and not films[0] & films[2]) == (split_by == "film")


def test_a_pair_of_two_films_stays_with_the_test_film():
    train, test = in_split("train")[:2], in_split("test")[:1]
    said = ["What?", "Nothing."]
    tables = pairs(
        [(train[0], said), (test[0], said), (train[1], said), (train[0], said), (train[0], ["What?", "No."])]
    )
    assert [texts(row) for row in tables["pairs"]["test"].to_pylist()] == [said]
    assert [texts(row) for row in tables["pairs"]["train"].to_pylist()] == [["What?", "No."]]
    dropped = tables["dropped"]["train"].to_pylist()
    assert [(row["movie_id"], row["split"]) for row in dropped] == [(f"m{train[film]}", "train") for film in (0, 1, 0)]
    (conversation,) = tables["conversations"]["train"].to_pylist()  # the three others hold what is tested
    assert conversation["movie_id"] == f"m{train[0]}"
    assert len(tables["conversations"]["test"]) == 1
    left = tables["dropped_conversations"]["train"].to_pylist()
    assert [(row["movie_id"], row["split"]) for row in left] == [(f"m{train[film]}", "train") for film in (0, 1, 0)]
    kept = pairs([(train[0], said), (test[0], said)], drop_duplicates=False)
    assert len(kept["conversations"]["train"]) == 1
    assert not kept.keys() & {"dropped", "dropped_conversations"}
    assert len(everything(kept)) == 2


def test_a_film_may_repeat_itself():
    tables = pairs([(0, ["What?", "Nothing."]), (0, ["What?", "Nothing."])])
    assert len(everything(tables)) == len(everything(tables, "conversations")) == 2


def test_neighbours_are_told_from_lines_that_meet_at_an_end():
    train, test = in_split("train")[0], in_split("test")[0]
    tables = pairs([(test, ["a", "b"]), (train, ["c", "a"]), (train, ["b", "d"]), (train, ["b", "a"])])
    assert "dropped_conversations" not in tables
    tables = pairs([(test, ["x", "a", "b", "y"]), (train, ["c", "a", "b"])])
    assert [row["movie_id"] for row in everything(tables, "dropped_conversations")] == [f"m{train}"]


def test_long_pairs_are_published_as_dropped():
    tables, counts = build_tables(
        [WeightedCorpus("ours", 1, corpus([(0, ["a" * 11, "b", "c" * 12, "d"])]))],
        Data(max_prompt_characters=11, max_reply_characters=11),
    )
    assert [texts(row) for row in everything(tables)] == [["a" * 11, "b"]]
    assert [row["rule"] for row in everything(tables, "dropped")] == ["reply too long", "prompt too long"]
    assert +counts == {"pairs dropped: prompt too long": 1, "pairs dropped: reply too long": 1}


@pytest.mark.parametrize("weight", [0.5, 2, 2.5])
def test_weights_repeat_train_pairs_alone(weight):
    talks = [(film, [f"{film}.{talk}.{line}" for line in range(3)]) for film in range(40) for talk in range(30)]
    weighted, plain = pairs(talks, weight), pairs(talks)
    for split in ("validation", "test"):
        assert weighted["pairs"][split] == plain["pairs"][split]
    ratio = len(weighted["pairs"]["train"]) / len(plain["pairs"]["train"])
    assert abs(ratio - weight) < 0.05
    counts = {}
    for row in weighted["pairs"]["train"].to_pylist():
        counts.setdefault(row["conversation_id"], []).append(tuple(texts(row)))
    assert all(len(rows) % 2 == 0 for rows in counts.values())  # both pairs of a conversation, or none


def test_what_a_weight_leaves_out_is_published_as_dropped_and_costs_no_pair_of_another_source():
    talks = [(film, [f"{talk}.{line}" for line in range(2)]) for talk, film in enumerate(in_split("train") * 3)]
    light, heavy = corpus(talks), corpus(talks)
    tables, counts = build_tables([WeightedCorpus("light", 0.5, light), WeightedCorpus("heavy", 1, heavy)], Data())
    assert counts["pairs dropped: left out by the weight of its source"] > 0
    assert {tuple(texts(row)) for row in everything(tables)} == {tuple(lines) for _, lines in talks}
    assert len(everything(tables)) + counts.total() == 2 * len(talks)


def test_sources_stand_side_by_side_and_film_titles_join_them():
    ours, theirs = corpus([(5, ["a", "b"])]), corpus([(5, ["c", "d"]), (6, ["e", "f"])])
    tables, _ = build_tables([WeightedCorpus("ours", 1, ours), WeightedCorpus("theirs", 1, theirs)], Data())
    rows = everything(tables)
    assert sorted((row["source"], *texts(row)) for row in rows) == [
        ("ours", "a", "b"),
        ("theirs", "c", "d"),
        ("theirs", "e", "f"),
    ]
    home = {split for split, table in tables["pairs"].items() if "film 5" in table["movie_title"].to_pylist()}
    assert len(home) == 1


def test_shares_by_genre_and_decade():
    early, late, later = Film("a", year=1990, genres=("drama",)), Film("b", year=2000, genres=("drama",)), Film("c")
    traits = FilmTraits()
    traits.add("train", [(early, 2), (late, 1), (later, 1)])
    traits.add("test", [(early, 2)])
    assert shares(traits.decade, traits.rows) == {
        "1990s": {"train": 0.5, "validation": 0.0, "test": 1.0},
        "2000s": {"train": 0.25, "validation": 0.0, "test": 0.0},
    }
    assert shares(traits.genre, traits.rows) == {"drama": {"train": 0.75, "validation": 0.0, "test": 1.0}}
    assert widest(shares(traits.decade, traits.rows)) == 100


@given(st.lists(st.integers(0, 30), min_size=1, max_size=60), st.sampled_from(list(QUANTILES.values())))
def test_quantiles_of_counts_are_those_of_the_lengths(lengths, share):
    assert count_quantile(np.bincount(lengths), share) == pytest.approx(np.quantile(lengths, share))
