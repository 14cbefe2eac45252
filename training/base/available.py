"""Recipe whose base can be had here: `python -m training.base.available RECIPE...` prints the first, for `make demo`.

A base that stands in for one of the Hub comes from the package index, which may be out of reach: then a line on stderr
says so, and the next recipe is tried. The last one is printed without a look.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hub.errors import UserError, one_line_errors
from training.base.origin import find_origin
from training.recipe import load
from training.stage import WORK


def first_available(recipes: list[Path], work: Path) -> Path:
    """First recipe whose base's substitute is here or can be fetched; the last where no other can."""
    *tried, last = recipes
    for path in tried:
        model = load(path).model
        try:
            if model.substitute:
                find_origin(model, work / "downloads").fetch()
            return path
        except UserError as error:
            print(f"{error}; taking {last.stem} instead of {model.size}", file=sys.stderr)
    return last


def main() -> None:
    """Command line: the recipes in the order of preference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=Path, nargs="+", metavar="RECIPE")
    parser.add_argument("--work", type=Path, default=WORK, help="where a download is kept (default: %(default)s)")
    arguments = parser.parse_args()
    with one_line_errors():
        print(first_available(arguments.recipes, arguments.work))


if __name__ == "__main__":
    main()
