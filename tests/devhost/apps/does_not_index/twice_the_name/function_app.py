import azure.functions as func

app = func.FunctionApp()


@app.function_name("Hello")
@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return "hello"


@app.function_name("Hello")
@app.route(route="hello-again")
def hello_again(req: func.HttpRequest) -> str:
    return "hello again"
