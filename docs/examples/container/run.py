# run.py
"""Runs the shop three times, with the stock on local hosts for Azure, Lambda and Google."""

import os
import subprocess
import sys
from pathlib import Path

from pip_services4_serverless.local import AzureFunctionHost, GoogleFunctionHost, LambdaHost

HERE = Path(__file__).parent


def run_shop(config, settings):
    print(f"--- shop.py {config}", flush=True)
    command = [sys.executable, str(HERE / "shop.py"), str(HERE / config)]
    subprocess.run(command, env={**os.environ, **settings}, check=True, timeout=60)


with AzureFunctionHost(HERE) as azure:
    url, key = azure.function_url("stock"), azure.function_key("stock")
    run_shop("azure.yml", {"STOCK_URL": url, "STOCK_KEY": key})

with LambdaHost() as aws:
    arn = aws.deploy("stock", HERE, "function_app.handler")
    keys = {"STOCK_ACCESS_ID": "local", "STOCK_ACCESS_KEY": "local"}
    run_shop("aws.yml", {"STOCK_ARN": arn, "STOCK_ENDPOINT": aws.endpoint, **keys})

with GoogleFunctionHost() as google:
    url = google.deploy("stock", HERE / "function_app.py", "on_google")
    token = google.config("stock").get_as_string("credential.auth_token")
    run_shop("google.yml", {"STOCK_URL": url, "STOCK_TOKEN": token})
