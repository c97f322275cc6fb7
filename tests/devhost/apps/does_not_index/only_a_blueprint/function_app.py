import azure.functions as func

bp = func.Blueprint()


@bp.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return "hello"
