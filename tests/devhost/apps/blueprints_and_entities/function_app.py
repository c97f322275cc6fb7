"""A small shop in the shape that Durable apps have: one file a trade, each a blueprint."""

import azure.functions as func
from counters import bp as counters
from orders import activities, orchestrators, starters

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

app.register_functions(counters)
app.register_blueprint(starters.bp)
app.register_functions(orchestrators.bp)
app.register_functions(activities.bp)


@app.route(route="health", methods=[func.HttpMethod.GET])
def health(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("fine", mimetype="text/plain")
