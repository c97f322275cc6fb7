import azure.functions as func

app = func.FunctionApp()


@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return "hello"


@app.queue_output(arg_name="out", queue_name="work", connection="AzureWebJobsStorage")
def sends(out: func.Out[str]) -> None: ...
