"""The function app: one line a blueprint."""

import azure.durable_functions as df
import azure.functions as func

from activities import ask_approval, compose_answer, run_job, send_follow_up, show_job
from orchestrators import approval, follow_up
from triggers import daily_digest, failed_jobs, housekeeping, job_events, messages, proactive_messages

app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

app.register_functions(messages.blueprint)
app.register_functions(proactive_messages.blueprint)
app.register_functions(job_events.blueprint)
app.register_functions(failed_jobs.blueprint)
app.register_functions(daily_digest.blueprint)
app.register_functions(housekeeping.blueprint)

app.register_functions(follow_up.blueprint)
app.register_functions(approval.blueprint)

app.register_functions(run_job.blueprint)
app.register_functions(compose_answer.blueprint)
app.register_functions(send_follow_up.blueprint)
app.register_functions(show_job.blueprint)
app.register_functions(ask_approval.blueprint)
