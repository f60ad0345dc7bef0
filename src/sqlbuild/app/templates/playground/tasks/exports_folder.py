from pathlib import Path

from sqlbuild.tasks import TaskContext, task

EXPORTS = Path(__file__).parent.parent / "exports"


@task
def exports_folder(ctx: TaskContext):
    """Makes the folder that the assets write into, one for each target."""
    folder = EXPORTS / ctx.target
    folder.mkdir(parents=True, exist_ok=True)
    return ctx.result({"path": folder})
