import json
import logging
import os
import subprocess
import sys

import azure.functions as func

print("loading: the app")
logging.basicConfig(level=logging.DEBUG)
log = logging.getLogger(__name__)
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="report")
def report(req: func.HttpRequest) -> func.HttpResponse:
    print("- descriptor: not: yaml", end="")
    sys.stdout.write("\n  written: [\n")
    os.write(1, b"from descriptor 1\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    logging.warning("a warning")
    log.info("about %s", req.get_json()["name"])
    return func.HttpResponse(json.dumps({"reported": True}))
