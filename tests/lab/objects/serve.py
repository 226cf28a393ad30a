"""An object store for one test: serve.py ADDRESS PORT BUCKET [CERTIFICATE KEY]

Serves S3 by moto, prints one line of JSON with a key that may use the bucket, and ends when its input does.
"""

import json
import os
import sys
import threading

ADDRESS, PORT, BUCKET, *TLS = sys.argv[1:]
# What the four calls below may do without a key; from then on every request is checked.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3  # noqa: E402
import urllib3  # noqa: E402
from moto.server import (  # noqa: E402
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server  # noqa: E402

urllib3.disable_warnings()
server = make_server(
    ADDRESS,
    int(PORT),
    DomainDispatcherApplication(create_backend_app),
    threaded=True,
    request_handler=MotoRequestHandler,
    ssl_context=tuple(TLS) or None,
)
threading.Thread(target=server.serve_forever, daemon=True).start()

options = {
    "endpoint_url": f"{'https' if TLS else 'http'}://{ADDRESS}:{server.server_port}",
    "region_name": "us-east-1",
    "aws_access_key_id": "nobody",
    "aws_secret_access_key": "nothing",
    "verify": False,
}
boto3.client("s3", **options).create_bucket(Bucket=BUCKET)
iam = boto3.client("iam", **options)
iam.create_user(UserName="registry")
iam.put_user_policy(
    UserName="registry",
    PolicyName="all",
    PolicyDocument=json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "*"}],
        }
    ),
)
key = iam.create_access_key(UserName="registry")["AccessKey"]
print(
    json.dumps(
        {
            "endpoint": options["endpoint_url"],
            "accesskey": key["AccessKeyId"],
            "secretkey": key["SecretAccessKey"],
        }
    ),
    flush=True,
)
sys.stdin.read()
os._exit(0)
