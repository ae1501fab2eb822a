"""`python -m ray_jobs.rescore`: the nightly job by its module's name, as `protoscore rescore`."""

import sys

from ray_jobs.cli import main

if __name__ == "__main__":
    sys.exit(main(["rescore", *sys.argv[1:]]))
