"""The web app: take a text, give back its most frequent words.

    POST /texts        a text → 200 and its words, or 202 and where they will be, when that takes longer
    GET  /texts/{id}   how it stands, and the words once they are there
    /jobs/…            the same task without an endpoint of its own: /jobs/docs shows how

    polypool worker examples.web_flask.tasks:app &
    gunicorn -k gthread --threads 20 examples.web_flask.web:web
    curl --data-binary @README.md localhost:8000/texts

Any kind of gunicorn's workers will do for /texts: see docs/web.md; for who watches, docs/flask-and-fastapi.md.
"""

import os

from flask import Flask, request, url_for
from flask.typing import ResponseReturnValue

from examples.web_flask.tasks import app, count_words
from polypool import TaskError
from polypool.doors.flask import blueprint

PATIENCE_S = float(os.environ.get("WORDS_PATIENCE_S", "10"))
"""Shorter than gunicorn's --graceful-timeout, so that a reload cuts nobody off."""

web = Flask(__name__)
web.register_blueprint(blueprint(app, body_bytes=100_000), url_prefix="/jobs")


@web.post("/texts")
def send_text() -> ResponseReturnValue:
    result = count_words.delay(request.get_data(as_text=True))
    try:
        return {"id": result.id, "words": result.get(timeout=PATIENCE_S)}
    except TimeoutError:
        return {"id": result.id}, 202, {"location": url_for("look", id=result.id)}


@web.get("/texts/<id>")
def look(id: str) -> ResponseReturnValue:
    result = app.result(id)
    status = result.status
    if status == "unknown":
        return {"error": f"There is no text {id}, or no longer."}, 404
    if not status.is_final:
        return {"id": id, "status": status}
    try:
        return {"id": id, "status": status, "words": result.get()}
    except TaskError as error:
        return {"id": id, "status": status, "error": str(error)}
