"""Public tasks in a Flask app."""

import math
import os

from desk import app
from flask import Flask

from polypool.doors.flask import blueprint

web = Flask(__name__)
LONGEST = float(os.environ.get("LONGEST_STREAM", math.inf))
web.register_blueprint(blueprint(app, tokens=[os.environ["POLYPOOL_WEB_TOKENS"]], longest_stream=LONGEST, ping=0.2))
