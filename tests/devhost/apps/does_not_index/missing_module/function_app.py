import azure.functions as func
import library_that_nobody_installed

app = func.FunctionApp()


@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return library_that_nobody_installed.hello()
