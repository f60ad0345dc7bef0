"""The same project built from Python: `python from_python.py [SELECTOR...]`, with the service of `service.py` running."""

import sys
from pathlib import Path

import sqlbuild

if __name__ == "__main__":
    result = sqlbuild.build(Path(__file__).parent, select=sys.argv[1:] or ["fact_flights"])
    for failed in result.failures:
        print(f"{failed.name}: {failed.error}")
    print(result)
    sys.exit(result.exit_code)
