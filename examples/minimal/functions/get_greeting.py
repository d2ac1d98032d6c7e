import os

import boto3

TABLE = boto3.resource("dynamodb").Table(os.environ["TABLE_NAME"])


def handler(event, context):
    item = TABLE.get_item(Key={"language": event["pathParameters"]["language"]}).get("Item")
    return {"statusCode": 200, "body": item["text"]} if item else {"statusCode": 404, "body": ""}
