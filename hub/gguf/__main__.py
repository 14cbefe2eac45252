"""`python -m hub.gguf --namespace NAMESPACE --size starter [KIND ...] [--dry-run]`: the GGUF export."""

from __future__ import annotations

import argparse

from hub.errors import one_line_errors
from hub.gguf.export import EXPORTED_KINDS, export
from hub.gguf.writer import TYPES
from hub.names import Names


def main() -> None:
    """The command line of `python -m hub.gguf`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "kinds", nargs="*", metavar="KIND", help=f"of {', '.join(EXPORTED_KINDS)} (default: base sft dpo)"
    )
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--size", default="starter", help="of the models: part of their names (default: %(default)s)")
    parser.add_argument("--types", nargs="+", choices=TYPES, default=["f16", "q8_0"], help="default: f16 q8_0")
    parser.add_argument("--private", action="store_true", help="create repositories as private")
    parser.add_argument("--dry-run", action="store_true", help="write the files, show what would be sent, send nothing")
    given = parser.parse_args()
    if wrong := set(given.kinds) - set(EXPORTED_KINDS):
        parser.error(f"no kind {', '.join(sorted(wrong))}; there are {', '.join(EXPORTED_KINDS)}")
    with one_line_errors():
        for kind in given.kinds or EXPORTED_KINDS[:3]:
            export(Names(given.namespace, given.size), kind, given.types, given.private, given.dry_run)


if __name__ == "__main__":
    main()
