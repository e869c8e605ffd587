"""What all subcommands have: a line of help and an example."""

import argparse


def command(commands, name: str, help_text: str, example: str, run) -> argparse.ArgumentParser:
    """Add the subcommand ``name``, which calls ``run`` with its options."""
    parser = commands.add_parser(
        name,
        help=help_text,
        description=help_text,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser
