import logging
from pathlib import Path

from sqlbuild.tasks import TaskContext, task

from assets.late_flights import late_flights
from tasks.exports_folder import exports_folder

log = logging.getLogger(__name__)


@task(depends_on=(late_flights, exports_folder), dry_run=True)
def newsletter(ctx: TaskContext):
    """Tells the crews how many routes have late flights; `sqb build --dry-run` shows the letter and sends nothing."""
    # The newest one is of this run; in a dry run, which does not call late_flights, of the run before.
    counts = [result.payload["routes"] for result in ctx.results_of(late_flights, limit=5)]
    letter = f"Routes with late flights: {counts[0] if counts else 'not known yet'}, before that: {counts[1:]}"
    log.info("wrote a letter of %d characters", len(letter))
    if ctx.dry_run:
        ctx.log(f"would send: {letter}", "warning")
        return ctx.result({"sent": False})
    # Stands for a POST: a service that knows this key already, from an attempt before, would not send it again.
    path = Path(ctx.result_of(exports_folder).payload["path"]) / "newsletter.txt"
    path.write_text(f"Idempotency-Key: {ctx.idempotency_key}\n\n{letter}\n", encoding="utf-8")
    # Kept at once: had a later step of this task failed, its next attempt would find it in ctx.checkpoints.
    ctx.checkpoint("sent", {"characters": len(letter)})
    return ctx.result({"sent": True})
