"""Benchmark of the dataset's size: `python -m benchmarks.prepare_scale --corpus ZIP [--lines 300000 1000000 ...]`.

The corpus is multiplied to each number of lines, as a table of conversations (.jsonl): copies of its films with titles
of their own, in which every line of four words or more is altered, so that short lines are duplicates as between films.
Each table is made into a dataset, card and figure included, by a process that does nothing else. The exponent of growth
is held by CPU seconds, all threads together: they do not tell who else uses the machine; the wall's is told beside it.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness import finish_benchmark, peak_memory, run_child
from benchmarks.prepare import slope
from hub.errors import one_line_errors

BARS: dict[str, tuple[str, float]] = {"scale_peak_gb": ("<=", 1.0), "scale_exponent": ("<=", 1.1)}
SCALES = (300_000, 1_000_000, 3_000_000)
ALTERED_WORDS = 4  # lines of at least so many words differ between the copies


def main(argv: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="the Cornell corpus, zip or folder")
    parser.add_argument("--lines", type=int, nargs="+", default=SCALES, help="sizes (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, help="where tables and datasets lie meanwhile: 0.5 kB a line")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)  # a process of its own, to measure it
    arguments = parser.parse_args(argv)
    with one_line_errors(), tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        if arguments.make:
            print(json.dumps(make(arguments.make, Path(scratch))))
            return
        figures = measure(arguments.corpus, arguments.lines, Path(scratch))
    finish_benchmark(figures, BARS)


def measure(corpus: Path, sizes: Sequence[int], scratch: Path) -> dict[str, float]:
    """Prints a table, and returns the figures by name."""
    print("| lines | pairs | CPU seconds | seconds | peak GB |\n|---:|---:|---:|---:|---:|", flush=True)
    made = []
    for lines in sizes:
        table = scratch / "talks.jsonl"
        written = multiply(corpus, lines, table)
        code = [sys.executable, "-m", "benchmarks.prepare_scale", "--make", str(table), "--scratch", str(scratch)]
        figures = {"lines": written, **json.loads(run_child(code, f"{written:,} lines").splitlines()[-1])}
        made.append(figures)
        print(
            f"| {written:,} | {figures['pairs']:,} | {figures['cpu_seconds']:.1f} | {figures['seconds']:.1f} "
            f"| {figures['peak_gb']:.3f} |",
            flush=True,
        )
    counts = [figures["lines"] for figures in made]
    growth = {name: [figures[name] for figures in made] for name in ("cpu_seconds", "seconds")}
    return {
        "scale_peak_gb": round(max(figures["peak_gb"] for figures in made), 3),
        "scale_exponent": round(slope(counts, growth["cpu_seconds"]), 3),
        "scale_wall_exponent": round(slope(counts, growth["seconds"]), 3),
        "scale_lines": counts[-1],
    }


def multiply(corpus: Path, lines: int, table: Path) -> int:
    """Writes a table of at least so many lines; returns how many."""
    from training.data.corpus import sources

    talks = list(sources.read(corpus).talks())
    written = copy = 0
    with table.open("w", encoding="utf-8") as file:
        while written < lines:
            for row in altered(talks, copy):
                file.write(json.dumps(row) + "\n")
                written += len(row["messages"])
                if written >= lines:
                    break
            copy += 1
    return written


def altered(talks: list[tuple[Any, list[str]]], copy: int) -> Iterator[dict[str, Any]]:
    """Yields the conversations of one copy of a corpus, as rows; copy 0 is the corpus itself."""
    mark = f" {copy}" if copy else ""
    for film, lines in talks:
        messages = [
            {
                "role": ("user", "assistant")[place % 2],
                "content": line + mark * (line.count(" ") >= ALTERED_WORDS - 1),
            }
            for place, line in enumerate(lines)
        ]
        about = film._replace(id=film.id and film.id + mark, title=film.title and film.title + mark)
        yield {"messages": messages, "movie_id": about.id, "movie_title": about.title, **about._asdict()}


def make(table: Path, scratch: Path) -> dict[str, float]:
    """Makes the dataset of a table; returns what that took."""
    from training.data import prepare
    from training.recipe_schema import Data, Source

    started, cpu = time.perf_counter(), time.process_time()
    data = Data(sources=[Source(str(table))])
    _, lineage = prepare.dataset_files(data, prepare.located(data, scratch), "films/dialogue", scratch)
    counts = lineage.facts["counts"]
    return {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - cpu,
        "peak_gb": peak_memory() / 1e9,
        "pairs": sum(count for name, count in counts.items() if name.endswith(" pairs")),
    }


if __name__ == "__main__":
    main()
