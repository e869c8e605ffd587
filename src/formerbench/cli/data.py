"""``formerbench data``: list, fetch and check data sets."""

import json
from dataclasses import asdict

from formerbench.cli.command import command


def add(commands) -> None:
    """Add the command and those below it."""
    data = command(commands, "data", "List, fetch or check data sets.", "formerbench data list", None)
    kinds = data.add_subparsers(title="commands", required=True, metavar="COMMAND")
    listing = command(kinds, "list", "List the registered data sets.", "formerbench data list", _data_list)
    listing.add_argument("--json", action="store_true", help="print the entries as JSON")
    fetch = command(
        kinds,
        "fetch",
        "Download data sets into the cache and verify their checksums.",
        "formerbench data fetch ETTh1 Weather",
        _data_fetch,
    )
    check = command(
        kinds,
        "check",
        "Say where data sets can be had right now; exit status 1 if one of them cannot.",
        "formerbench data check ETTh1 --mirror /data/mirror",
        _data_check,
    )
    for parser in (fetch, check):
        parser.add_argument("dataset", nargs="+", help="name in config/datasets.yaml")
        parser.add_argument("--mirror", help="directory or URL asked first (default: $FORMERBENCH_MIRROR)")
        parser.add_argument("--json", action="store_true", help="print the answer as JSON")


def _data_list(options) -> None:
    from formerbench.data.registry import load_registry

    entries = load_registry().values()
    if options.json:
        print(json.dumps([entry.as_dict() for entry in entries], indent=1))
        return
    print(f"{'name':<12} {'rows':>7} {'variates':>8} {'step':>6} {'season':>6}  licence")
    for entry in entries:
        cells = (entry.name, entry.rows, entry.variates, entry.step, entry.season, entry.licence or "")
        print("{:<12} {:>7} {:>8} {:>6} {:>6}  {}".format(*cells))


def _data_fetch(options) -> None:
    from formerbench.data.download import fetch_into_cache
    from formerbench.data.registry import find

    found = {name: fetch_into_cache(find(name), mirror=options.mirror) for name in options.dataset}
    if options.json:
        print(json.dumps({name: asdict(fetched) for name, fetched in found.items()}, default=str, indent=1))
        return
    for name, fetched in found.items():
        print(f"{name}: {fetched.path} ({fetched.variant}, from {fetched.source})")


def _data_check(options) -> int:
    from formerbench.data.download import reachable
    from formerbench.data.registry import find

    found = {name: reachable(find(name), mirror=options.mirror) for name in options.dataset}
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        nowhere = "cannot be reached (no copy in cache or mirror, and no public source answers)"
        print("\n".join(f"{name}: {where or nowhere}" for name, where in found.items()))
    return 0 if all(found.values()) else 1
