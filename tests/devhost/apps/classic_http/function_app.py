"""Notes over HTTP, kept in blobs and worked on over queues, in the style of the classic samples."""

import json
import logging

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.function_name(name="ReadNote")
@app.route(route="notes/{id:int}", methods=["GET"])
@app.blob_input(arg_name="note", path="notes/{id}.txt", connection="AzureWebJobsStorage")
def read_note(req: func.HttpRequest, note: str) -> func.HttpResponse:
    if note is None:
        return func.HttpResponse("There is no such note.", status_code=404)
    return func.HttpResponse(note, headers={"X-Note": req.route_params["id"]})


@app.function_name(name="WriteNote")
@app.route(route="notes/{id:int}", methods=["PUT", "POST"])
@app.queue_output(arg_name="written", queue_name="notes-written", connection="AzureWebJobsStorage")
@app.blob_output(arg_name="note", path="notes/{id}.txt", connection="AzureWebJobsStorage")
def write_note(req: func.HttpRequest, note: func.Out[str], written: func.Out[str]) -> func.HttpResponse:
    text = req.get_body().decode()
    if not text:
        return func.HttpResponse("A note needs a text.", status_code=400)
    note.set(text)
    written.set(json.dumps({"id": req.route_params["id"]}))
    return func.HttpResponse(status_code=201)


@app.function_name(name="CountWords")
@app.queue_trigger(arg_name="msg", queue_name="notes-written", connection="AzureWebJobsStorage")
@app.blob_input(arg_name="note", path="notes/{id}.txt", data_type="BINARY", connection="AzureWebJobsStorage")
@app.blob_output(arg_name="count", path="counts/{id}.json", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="$return", queue_name="notes-counted", connection="AzureWebJobsStorage")
def count_words(msg: func.QueueMessage, note: func.InputStream, count: func.Out[str]) -> str:
    note_id = msg.get_json()["id"]
    words = len(note.read().split())
    count.set(json.dumps({"id": note_id, "words": words, "tried": msg.dequeue_count}))
    logging.info("Note %s has %d words", note_id, words)
    return f"{note_id}={words}"


@app.generic_trigger(
    arg_name="req", type="httpTrigger", route="echo/{*rest}", methods=["post"], auth_level="anonymous"
)
@app.generic_output_binding(arg_name="$return", type="http")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    answer = {"rest": req.route_params.get("rest"), "query": dict(req.params), "form": dict(req.form)}
    return func.HttpResponse(json.dumps(answer), mimetype="application/json")


@app.route(route="events", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.event_hub_output(arg_name="event", event_hub_name="events", connection="EVENTS")
def send_event(req: func.HttpRequest, event: func.Out[str]) -> func.HttpResponse:
    event.set("x")
    return func.HttpResponse(status_code=202)
