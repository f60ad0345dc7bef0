"""Writing files; a name that starts with an underscore is not searched for nodes."""

from pathlib import Path

EXPORTS = Path(__file__).parent.parent / "exports"


def write_if_changed(path: Path, content: bytes) -> bool:
    """Replace the file whole, or leave it alone if it has this content already. Returns whether it was written."""
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
    return True
