from flask import Flask, jsonify, request, session

from .pages import pages


def create_app():
    app = Flask(__name__)
    app.secret_key = "made up"
    app.register_blueprint(pages, url_prefix="/pages")

    @app.route("/hello", methods=["GET", "POST"])
    def hello():
        name = request.get_json()["name"] if request.is_json else request.args.get("name", "World")
        return f"Hello, {name}!"

    @app.post("/sign")
    def sign():
        entry = request.get_json()
        session["name"] = entry["name"]
        return jsonify(signed=entry["name"], path=request.path), 201

    @app.errorhandler(KeyError)
    def missing(error):
        return jsonify(code="MISSING", category="BadRequest", status=400, message=f"There is no {error}"), 400

    return app
