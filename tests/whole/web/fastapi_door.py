"""Public tasks in a FastAPI app."""

import os

from desk import app
from fastapi import FastAPI

from polypool.doors.fastapi import router

web = FastAPI()
web.include_router(router(app, tokens=[os.environ["POLYPOOL_WEB_TOKENS"]], ping=0.2))
