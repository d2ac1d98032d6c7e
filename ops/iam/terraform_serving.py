"""What Terraform's provider calls for what serves requests."""

from collections.abc import Mapping

from ops.iam.grants import equals, pass_role, read, service_linked_role, write
from ops.iam.policy import ANYWHERE, Grant

_API = "apigateway:{region}::"
_FUNCTION = "lambda:{region}:{account}:function:{aws_lambda_function}"
_QUALIFIED = f"{_FUNCTION}:*"
_WEB_ACL = "wafv2:{region}:{account}:regional/webacl/{aws_wafv2_web_acl}/*"
_IP_SET = "wafv2:{region}:{account}:regional/ipset/{aws_wafv2_ip_set}/*"
_STAGE = f"{_API}/restapis/*/stages/*"
_ZONE = "route53:::hostedzone/*"
_HEALTH_CHECK = "route53:::healthcheck/*"
_QUERY_LOG = "route53:::queryloggingconfig/*"
_TEMPLATE = "fis:{region}:{account}:experiment-template/*"
_CERTIFICATE = "acm:{region}:{account}:certificate/*"


def _api(collection: str, *, items: str = "*") -> list[Grant]:
    """Grant HTTP methods, which are API Gateway's actions, on a collection and all below it.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-iam-policy-examples.html
    """
    paths = (f"{_API}/{collection}", f"{_API}/{collection}/{items}")
    return [read("apigateway", "GET", *paths), write("apigateway", "POST PATCH PUT DELETE", *paths)]


_API_TAGS = write("apigateway", "PUT DELETE", f"{_API}/tags/*")
_REST_API = (*_api("restapis"), _API_TAGS)
_PLANS = (*_api("usageplans"), _API_TAGS)

SERVING: Mapping[str, tuple[Grant, ...]] = {
    "aws_acm_certificate": (
        read("acm", "DescribeCertificate ListTagsForCertificate", _CERTIFICATE),
        write("acm", "RequestCertificate", ANYWHERE),
        write(
            "acm", "DeleteCertificate AddTagsToCertificate RemoveTagsFromCertificate", _CERTIFICATE
        ),
    ),
    "aws_acm_certificate_validation": (read("acm", "DescribeCertificate", _CERTIFICATE),),
    "aws_api_gateway_account": (
        read("apigateway", "GET", f"{_API}/account"),
        write("apigateway", "PATCH", f"{_API}/account"),
        pass_role("apigateway.amazonaws.com"),
    ),
    "aws_api_gateway_api_key": (*_api("apikeys"), _API_TAGS),
    "aws_api_gateway_base_path_mapping": (
        *_api("domainnames", items="{aws_api_gateway_domain_name}/basepathmappings*"),
    ),
    "aws_api_gateway_deployment": _REST_API,
    "aws_api_gateway_domain_name": (
        *_api("domainnames", items="{aws_api_gateway_domain_name}"),
        _API_TAGS,
        write(
            "apigateway",
            "AddCertificateToDomain RemoveCertificateFromDomain",
            f"{_API}/domainnames",
            f"{_API}/domainnames/{{aws_api_gateway_domain_name}}",
        ),
        service_linked_role("ops.apigateway.amazonaws.com", "AWSServiceRoleForAPIGateway"),
    ),
    "aws_api_gateway_gateway_response": _REST_API,
    "aws_api_gateway_integration": _REST_API,
    "aws_api_gateway_method": _REST_API,
    "aws_api_gateway_method_settings": _REST_API,
    "aws_api_gateway_model": _REST_API,
    "aws_api_gateway_request_validator": _REST_API,
    "aws_api_gateway_resource": _REST_API,
    "aws_api_gateway_rest_api": _REST_API,
    "aws_api_gateway_stage": _REST_API,
    "aws_api_gateway_usage_plan": _PLANS,
    "aws_api_gateway_usage_plan_key": _PLANS,
    "data.aws_ec2_managed_prefix_list": (
        read("ec2", "DescribeManagedPrefixLists", ANYWHERE),
        # AWS owns the list of Route 53's health checkers.
        read("ec2", "GetManagedPrefixListEntries", "ec2:{region}:*:prefix-list/*"),
    ),
    "aws_fis_experiment_template": (
        read("fis", "GetExperimentTemplate", _TEMPLATE),
        # The actions of a template are authorized, too.
        write(
            "fis",
            "CreateExperimentTemplate UpdateExperimentTemplate",
            _TEMPLATE,
            "fis:{region}:{account}:action/aws:dynamodb:global-table-pause-replication",
        ),
        # Other tags replace it.
        write("fis", "DeleteExperimentTemplate TagResource", _TEMPLATE),
        pass_role("fis.amazonaws.com"),
    ),
    "aws_lambda_alias": (
        read("lambda", "GetAlias", _FUNCTION),
        write("lambda", "CreateAlias UpdateAlias DeleteAlias", _FUNCTION),
    ),
    "aws_lambda_function": (
        # GetFunctionConcurrency: from version 6 of the provider on.
        read(
            "lambda",
            "GetFunction GetFunctionCodeSigningConfig GetFunctionConcurrency "
            "ListVersionsByFunction",
            _FUNCTION,
        ),
        write(
            "lambda",
            "CreateFunction DeleteFunction UpdateFunctionCode UpdateFunctionConfiguration "
            "PublishVersion GetFunctionConfiguration PutFunctionConcurrency "
            "DeleteFunctionConcurrency TagResource UntagResource",
            _FUNCTION,
        ),
        pass_role("lambda.amazonaws.com"),
    ),
    "aws_lambda_permission": (
        read("lambda", "GetPolicy", _QUALIFIED),
        write("lambda", "AddPermission RemovePermission", _QUALIFIED),
    ),
    "aws_lambda_provisioned_concurrency_config": (
        read("lambda", "GetProvisionedConcurrencyConfig", _QUALIFIED),
        write(
            "lambda",
            "PutProvisionedConcurrencyConfig DeleteProvisionedConcurrencyConfig",
            _QUALIFIED,
        ),
    ),
    "aws_route53_health_check": (
        read("route53", "GetHealthCheck ListTagsForResource", _HEALTH_CHECK),
        write("route53", "CreateHealthCheck", ANYWHERE),
        write(
            "route53", "UpdateHealthCheck DeleteHealthCheck ChangeTagsForResource", _HEALTH_CHECK
        ),
    ),
    "aws_route53_query_log": (
        read("route53", "GetQueryLoggingConfig", _QUERY_LOG),
        write("route53", "CreateQueryLoggingConfig", _ZONE),
        write("route53", "DeleteQueryLoggingConfig", _QUERY_LOG),
    ),
    "aws_route53_record": (
        read("route53", "GetHostedZone ListResourceRecordSets", _ZONE),
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/specifying-conditions-route53.html
        write(
            "route53",
            "ChangeResourceRecordSets",
            _ZONE,
            condition=equals(
                "route53:ChangeResourceRecordSetsNormalizedRecordNames",
                "{record}",
                operator="ForAllValues:StringLike",
            ),
        ),
        write("route53", "GetChange", "route53:::change/*"),
    ),
    "aws_route53_zone": (
        read("route53", "GetHostedZone ListResourceRecordSets ListTagsForResource", _ZONE),
        write("route53", "CreateHostedZone", ANYWHERE),
        write("route53", "DeleteHostedZone ChangeTagsForResource", _ZONE),
        write("route53", "GetChange", "route53:::change/*"),
    ),
    "aws_route53_zone.enable_accelerated_recovery": (
        write("route53", "UpdateHostedZoneFeatures", _ZONE),
    ),
    "data.aws_route53_zone": (
        read("route53", "ListHostedZones", ANYWHERE),
        read("route53", "GetHostedZone ListResourceRecordSets ListTagsForResource", _ZONE),
    ),
    "aws_wafv2_ip_set": (
        read("wafv2", "GetIPSet ListTagsForResource", _IP_SET),
        write("wafv2", "CreateIPSet UpdateIPSet DeleteIPSet TagResource UntagResource", _IP_SET),
    ),
    "aws_wafv2_web_acl": (
        read("wafv2", "GetWebACL ListTagsForResource", _WEB_ACL),
        # A rule's IP set and managed rule group are authorized, too.
        # https://docs.aws.amazon.com/waf/latest/developerguide/waf-api-permissions-ref.html
        write(
            "wafv2",
            "CreateWebACL UpdateWebACL",
            _WEB_ACL,
            _IP_SET,
            "wafv2:{region}:*:regional/managedruleset/*/*",
        ),
        write("wafv2", "DeleteWebACL TagResource UntagResource", _WEB_ACL),
    ),
    "aws_wafv2_web_acl_association": (
        read("wafv2", "GetWebACLForResource GetWebACL", _WEB_ACL, _STAGE),
        write("wafv2", "AssociateWebACL DisassociateWebACL", _WEB_ACL, _STAGE),
        write("apigateway", "SetWebACL", _STAGE),
    ),
}
"""`{type of resource or data source: what is called}`."""
