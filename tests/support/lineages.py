"""A lineage as the tests of the Hub publish it, made from a corpus that never was on a Hub."""

from hub.lineage import Input, Lineage

CORPUS = Input("corpus", "file", "a" * 64, "a" * 64)


def lineage(stage: str = "test", inputs: tuple[Input, ...] = (CORPUS,), **settings) -> Lineage:
    return Lineage(stage, settings, inputs)
