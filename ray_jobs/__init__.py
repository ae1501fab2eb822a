"""Where it runs: all of Ray. Jobs know specs, never a metric by name.

`python -m ray_jobs.rescore` puts the current folder before everything on the import path, so a
`queue.py` or `numpy.py` in it would be imported. It is taken off here, before anything else is
imported, unless the package itself lies there, as in a checkout.
"""

import os
import sys

_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and sys.path[0] != _HOME:
    del sys.path[0]  # argv[0] is "-m" only while Python looks for the module to run
