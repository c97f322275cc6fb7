import azure.functions as func

app = func.FunctionApp()
same_app = app  # to the worker, two names are two apps


@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return "hello"
