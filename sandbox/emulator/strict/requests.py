"""Which operation a request asks for, and with which parameters: by AWS's service models.

moto's routers and parsers do the reading. They are made for a server that forgives; the subclasses
here note what a service refuses: members that the model does not have, and values of another type.

Source: https://smithy.io/2.0/aws/protocols/index.html
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from typing import Any
from urllib.parse import parse_qsl

from botocore.parsers import BaseCBORParser
from moto.core import parse
from moto.core.model import OperationModel
from moto.core.request import Request
from moto.core.routing import PROTOCOL_ROUTERS, ProtocolRouter
from moto.core.utils import get_service_model
from werkzeug.exceptions import NotFound

CREDENTIAL = re.compile(
    r"(?:Credential=|^)(?P<account>[^/,\s]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request"
)
SERVICES = {
    "acm": "acm",
    "apigateway": "apigateway",
    "dynamodb": "dynamodb",
    "dynamodbstreams": "dynamodbstreams",
    "ec2": "ec2",
    "fis": "fis",
    "iam": "iam",
    "kms": "kms",
    "lambda": "lambda",
    "logs": "logs",
    "monitoring": "cloudwatch",
    "route53": "route53",
    "s3": "s3",
    "sns": "sns",
    "sts": "sts",
    "wafv2": "wafv2",
}
"""`{signing name: botocore's name}` of the services whose requests are checked.

The streams of DynamoDB have its signing name, and are known by the header with the operation.
"""
_STREAMS_TARGET = "DynamoDBStreams_"
CBOR = "smithy-rpc-v2-cbor"
_CBOR_PATH = re.compile(r"^/service/[^/]+/operation/(?P<operation>\w+)$")
_OUTSIDE_OF_THE_MODEL = {"Action", "Version", "AWSAccessKeyId", "SignatureVersion"}


@dataclass
class Call:
    """A request, read by the model of its service.

    Attributes:
        service: botocore's name of the service.
        protocol: Protocol of the request.
        operation: The operation.
        parameters: Its parameters, as boto3 would take them.
        violations: What does not fit the model already in its form, as `(path, constraint)`.
    """

    service: str
    protocol: str
    operation: OperationModel
    parameters: Mapping[str, Any] = field(default_factory=dict)
    violations: list[tuple[str, str]] = field(default_factory=list)


def service_of(headers: Mapping[str, str], query: bytes) -> str:
    """Find out which service a signed request is for.

    Args:
        headers: Its headers, names in lower case.
        query: Its query string.

    Returns:
        botocore's name of the service; empty if it is not signed, or for another service.
    """
    signed = CREDENTIAL.search(headers.get("authorization", ""))
    if signed is None and b"X-Amz-Credential=" in query:
        presigned = dict(parse_qsl(query.decode("latin-1")))
        signed = CREDENTIAL.search(presigned["X-Amz-Credential"])
    if signed is None:
        return ""
    is_stream = headers.get("x-amz-target", "").startswith(_STREAMS_TARGET)
    return SERVICES.get("dynamodbstreams" if is_stream else signed["service"], "")


def read(
    service: str, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> Call | None:
    """Read a request.

    Args:
        service: botocore's name of the service.
        method: HTTP method.
        target: Path as it was sent, with the query string.
        headers: Headers, names in lower case.
        body: Body.

    Returns:
        The call; None if the service has no such operation.
    """
    request = Request.from_primitives(method, f"http://localhost{target}", headers, body)
    protocol = _protocol(service, request)
    uri: Mapping[str, Any] = {}
    try:
        if protocol == CBOR:
            operation = _cbor_operation(service, request.path)
        else:
            operation, uri = _router(service, protocol).match(request)
    except NotFound:
        return None
    call = Call(service, protocol, operation)
    values: Any = request.values
    if protocol in ("query", "ec2"):
        values = _Tracked(request.values.items())
    parser = PARSERS[protocol](operation, blob_parser=_blob, timestamp_parser=_timestamp)
    parser.call = call
    call.parameters = parser.parse(
        {
            "method": method,
            "values": values,
            "headers": request.headers,
            "body": body,
            "url_path": request.path,
            "url_params": uri,
        }
    )
    if isinstance(values, _Tracked):
        unknown = values.keys() - values.read - _OUTSIDE_OF_THE_MODEL
        call.violations += [(name, "is not a parameter of this operation") for name in unknown]
    return call


def _protocol(service: str, request: Request) -> str:
    metadata = get_service_model(service).metadata
    supported = metadata.get("protocols", [metadata["protocol"]])
    if request.headers.get("Smithy-Protocol") == "rpc-v2-cbor":
        return CBOR
    if "X-Amz-Target" in request.headers:
        return "json"
    return str(next((each for each in supported if each not in ("json", CBOR)), supported[0]))


@functools.cache
def _router(service: str, protocol: str) -> ProtocolRouter:
    return PROTOCOL_ROUTERS[protocol](get_service_model(service))


@functools.cache
def _cbor_operation(service: str, path: str) -> OperationModel:
    match = _CBOR_PATH.match(path)
    model = get_service_model(service)
    if match is None or match["operation"] not in model.operation_names:
        raise NotFound
    operation: OperationModel = model.operation_model(match["operation"])
    return operation


class _Tracked(dict[str, str]):
    """Parameters of the query protocol, and which of them the parser has looked at."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.read: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


def _blob(value: Any) -> bytes:
    return value if isinstance(value, bytes) else base64.b64decode(value)


def _timestamp(value: Any) -> Any:
    return parse.default_timestamp_parser(value)


class _Noting:
    """Notes values of another type instead of failing."""

    call: Call

    def _parse_shape(self, shape: Any, *node: Any) -> Any:
        try:
            return super()._parse_shape(shape, *node)  # type: ignore[misc]
        except (TypeError, ValueError, AttributeError, parse.RequestParserError):
            self.call.violations.append((shape.name, f"is not a valid {shape.type_name}"))
            return parse.UNDEFINED


class _Json(_Noting):
    """Notes unknown members and values of another type in JSON."""

    def _parse_structure(self, shape: Any, value: Any) -> Any:
        if value is not None and not shape.is_document_type:
            _require(value, dict)
            known = {
                member.serialization.get("name", name)
                for name, member in shape.members.items()
                if "location" not in member.serialization
            }
            self.call.violations += [
                (f"{shape.name}.{name}", "is not a member of this structure")
                for name in value.keys() - known
            ]
        return super()._parse_structure(shape, value)  # type: ignore[misc]

    def _parse_list(self, shape: Any, value: Any) -> Any:
        _require(value, (list, *([str] if "location" in shape.serialization else [])))
        return super()._parse_list(shape, value)  # type: ignore[misc]

    def _parse_string(self, _shape: Any, value: Any) -> Any:
        return _require(value, str)

    def _parse_integer(self, shape: Any, value: Any) -> Any:
        if "location" in shape.serialization:
            return int(value)
        if isinstance(value, bool) or value != int(_require(value, (int, float))):
            raise ValueError
        return int(value)

    _parse_byte = _parse_short = _parse_long = _parse_integer

    def _parse_float(self, shape: Any, value: Any) -> Any:
        if "location" not in shape.serialization and isinstance(value, bool | str):
            _require(value, float)
        return float(value)

    _parse_double = _parse_float

    def _parse_boolean(self, shape: Any, value: Any) -> Any:
        if "location" in shape.serialization:
            return {"true": True, "false": False}[value]
        return _require(value, bool)


class _JsonParser(_Json, parse.JSONParser):
    pass


class _RestJsonParser(_Json, parse.RestJSONParser):
    pass


class _CborParser(_Json, parse.JSONParser):
    def _parse_body_as_json(self, body: bytes) -> Any:
        return BaseCBORParser().parse_data_item(BufferedReader(BytesIO(body))) if body else {}


class _QueryParser(_Noting, parse.QueryParser):
    pass


class _Ec2Parser(_Noting, parse.EC2QueryParser):
    pass


class _RestXmlParser(_Noting, parse.RestXMLParser):
    def _parse_structure(self, shape: Any, node: Any) -> Any:
        known = {
            self._member_key_name(member, name)  # type: ignore[no-untyped-call]
            for name, member in shape.members.items()
            if "location" not in member.serialization
        }
        first = node[0] if isinstance(node, list) else node
        self.call.violations += [
            (f"{shape.name}.{tag}", "is not a member of this structure")
            for tag in map(self._node_tag, first)
            if tag not in known
        ]
        return super()._parse_structure(shape, node)  # type: ignore[no-untyped-call]


PARSERS: Mapping[str, Any] = {
    "ec2": _Ec2Parser,
    "json": _JsonParser,
    "query": _QueryParser,
    "rest-json": _RestJsonParser,
    "rest-xml": _RestXmlParser,
    CBOR: _CborParser,
}


def _require(value: Any, types: Any) -> Any:
    if not isinstance(value, types):
        raise TypeError
    return value
