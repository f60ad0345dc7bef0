import json
from pathlib import Path

from sqlbuild.loaders import LoaderContext, loader


@loader
def raw_patients(ctx: LoaderContext):
    """What the reception has written down since we looked last."""
    since = None if ctx.is_reload else ctx.current_cursor_value
    for line in Path("inbox/patients.jsonl").read_text().splitlines():
        patient = json.loads(line)
        if since is None or patient["updated_at"] > since.isoformat(sep=" "):
            yield patient
