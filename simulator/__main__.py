"""`python -m beam_talonone.simulator`: the same as `beam-talonone simulate`."""

import sys

from beam_talonone.pipelines.cli.entry import main

if __name__ == "__main__":
    sys.argv.insert(1, "simulate")
    main()
