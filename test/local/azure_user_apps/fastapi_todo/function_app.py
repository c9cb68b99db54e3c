import azure.functions as func
from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel

fast_app = FastAPI()
todos: dict[int, str] = {}


class Todo(BaseModel):
    text: str
    urgent: bool = False


@fast_app.post("/todos", status_code=201)
async def add(todo: Todo):
    number = len(todos) + 1
    todos[number] = todo.text
    return {"number": number, **todo.model_dump()}


@fast_app.get("/todos/{number}")
def show(number: int):
    if number not in todos:
        raise HTTPException(404, "no such todo")
    return todos[number]


@fast_app.get("/return_http_no_body")
async def return_http_no_body():
    return Response(content="", media_type="text/plain")


app = func.AsgiFunctionApp(app=fast_app, http_auth_level=func.AuthLevel.ANONYMOUS)
