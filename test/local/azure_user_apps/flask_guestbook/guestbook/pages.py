from flask import Blueprint, render_template_string

pages = Blueprint("pages", __name__)


@pages.get("/<int:number>")
def page(number):
    return render_template_string("<h1>Page {{ number }}</h1>", number=number)
