import azure.functions as func
from flask import current_app, request, session  # noqa: F401
from guestbook import create_app

app = func.WsgiFunctionApp(app=create_app().wsgi_app, http_auth_level=func.AuthLevel.ANONYMOUS)
