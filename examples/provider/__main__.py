"""Start the stand-in for an LLM provider: `python -m examples.provider --scale 40`."""

import argparse
import time

from examples.provider.app import Account, create_app
from examples.provider.limits import Limits
from examples.serving import listen, serve


def main() -> None:
    options = arguments().parse_args()
    limits = Limits(options.rpm, options.tpm, options.scale, time.monotonic())
    app = create_app(Account(limits, options.scale))
    serve(app, listen(options.port), path="/v1")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=8001, help="0 takes a free one (default 8001)")
    parser.add_argument("--scale", type=float, default=1.0, help="how many times as fast time runs (default 1)")
    parser.add_argument("--rpm", type=int, default=500, help="requests a minute (default 500)")
    parser.add_argument("--tpm", type=int, default=500_000, help="tokens a minute (default 500,000)")
    return parser


if __name__ == "__main__":
    main()
