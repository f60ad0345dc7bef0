"""All benchmarks, one after the other, each in a process of its own; or one of them, with arguments of its own.

python benchmarks [--rounds N] [--peers] [--json FILE]
python benchmarks NAME [ARGUMENT ...]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NAMES = ("overhead", "http_exports", "models", "files", "startup", "lateness", "compile", "flights")
"""The order in which they run. `tests/integration/test_benchmarks.py` runs each with a little to do."""


def main() -> int:
    arguments = sys.argv[1:]
    if arguments and arguments[0] in ("-h", "--help"):
        print(__doc__)
        print("Names:", ", ".join(sorted(NAMES)))
        return 0
    if arguments and not arguments[0].startswith("-"):
        return run(arguments[0], arguments[1:])
    failed = [name for name in NAMES if run(name, arguments) != 0]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def run(name: str, arguments: list[str]) -> int:
    path = Path(__file__).with_name(f"{name}.py")
    if not path.exists():
        print(f"there is no benchmark {name}", file=sys.stderr)
        return 2
    return subprocess.run([sys.executable, path, *arguments], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
