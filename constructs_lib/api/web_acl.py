"""An AWS WAF web ACL in front of a stage: AWS's own rules, and a limit for each IP address.

Route 53's health checkers pass before every rule: nobody may make a Region look lost by making a
rule match. Their addresses come from the prefix list that AWS keeps, read when Terraform plans.

Limits: https://docs.aws.amazon.com/waf/latest/developerguide/limits.html
"""

from collections.abc import Mapping
from typing import Any, Literal

from cdktf import TerraformProvider, Token
from cdktf_cdktf_provider_aws.api_gateway_stage import ApiGatewayStage
from cdktf_cdktf_provider_aws.data_aws_ec2_managed_prefix_list import DataAwsEc2ManagedPrefixList
from cdktf_cdktf_provider_aws.wafv2_ip_set import Wafv2IpSet
from cdktf_cdktf_provider_aws.wafv2_web_acl import (
    Wafv2WebAcl,
    Wafv2WebAclDefaultAction,
    Wafv2WebAclDefaultActionAllow,
    Wafv2WebAclRule,
    Wafv2WebAclRuleAction,
    Wafv2WebAclRuleActionAllow,
    Wafv2WebAclRuleActionBlock,
    Wafv2WebAclRuleActionCount,
    Wafv2WebAclRuleOverrideAction,
    Wafv2WebAclRuleOverrideActionCount,
    Wafv2WebAclRuleOverrideActionNone,
    Wafv2WebAclRuleVisibilityConfig,
    Wafv2WebAclVisibilityConfig,
)
from cdktf_cdktf_provider_aws.wafv2_web_acl_association import Wafv2WebAclAssociation
from constructs import Construct

_WINDOW_SECONDS = 300
_MANAGED_RULE_GROUPS = {
    "common": "AWSManagedRulesCommonRuleSet",
    "known-bad-inputs": "AWSManagedRulesKnownBadInputsRuleSet",
}
"""AWS's own rules by the name of ours.

Source: https://docs.aws.amazon.com/waf/latest/developerguide/aws-managed-rule-groups-baseline.html
"""


class WebAcl(Construct):
    """A REGIONAL web ACL, associated with one stage."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        provider: TerraformProvider,
        region: str,
        name: str,
        stage: ApiGatewayStage,
        requests_per_five_minutes: int = 2000,
        action: Literal["block", "count"] = "block",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the web ACL.

        Args:
            scope: The construct that owns it.
            id: Unique within `scope`.
            provider: Provider of the Region.
            region: The Region: each has a prefix list of the health checkers of its own.
            name: Name of the web ACL and prefix of its metrics' names.
            stage: The stage that it protects.
            requests_per_five_minutes: Requests of one IP address, 10 to 2,000,000,000, after which
                it is blocked until it calms down.
            action: `block` what a rule matches, or only `count` it.
            tags: Tags of its resources.
        """
        super().__init__(scope, id)
        checkers = DataAwsEc2ManagedPrefixList(
            self,
            "health_checkers",
            provider=provider,
            name=f"com.amazonaws.{region}.route53-healthchecks",
        )
        addresses = Wafv2IpSet(
            self,
            "health_checker_addresses",
            provider=provider,
            name=f"{name}-health-checkers",
            description="Route 53 health checkers",
            scope="REGIONAL",
            ip_address_version="IPV4",
            addresses=Token.as_list(f"${{[for entry in {checkers.fqn}.entries : entry.cidr]}}"),
            tags=dict(tags or {}),
        )
        blocks = action == "block"
        managed_action = (
            Wafv2WebAclRuleOverrideAction(none=Wafv2WebAclRuleOverrideActionNone())
            if blocks
            else Wafv2WebAclRuleOverrideAction(count=Wafv2WebAclRuleOverrideActionCount())
        )
        rules: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
            (
                "health-checkers",
                {"ip_set_reference_statement": {"arn": addresses.arn}},
                {"action": Wafv2WebAclRuleAction(allow=Wafv2WebAclRuleActionAllow())},
            ),
            *(
                (
                    rule_name,
                    {"managed_rule_group_statement": {"name": group, "vendor_name": "AWS"}},
                    {"override_action": managed_action},
                )
                for rule_name, group in _MANAGED_RULE_GROUPS.items()
            ),
            (
                "rate-per-ip",
                {
                    "rate_based_statement": {
                        "aggregate_key_type": "IP",
                        "limit": requests_per_five_minutes,
                        "evaluation_window_sec": _WINDOW_SECONDS,
                    }
                },
                {
                    "action": Wafv2WebAclRuleAction(block=Wafv2WebAclRuleActionBlock())
                    if blocks
                    else Wafv2WebAclRuleAction(count=Wafv2WebAclRuleActionCount())
                },
            ),
        ]
        self.web_acl = Wafv2WebAcl(
            self,
            "web_acl",
            provider=provider,
            name=name,
            description=f"In front of {name}",
            scope="REGIONAL",
            default_action=Wafv2WebAclDefaultAction(allow=Wafv2WebAclDefaultActionAllow()),
            rule=[
                Wafv2WebAclRule(
                    name=rule_name,
                    priority=priority,
                    statement=statement,
                    visibility_config=Wafv2WebAclRuleVisibilityConfig(
                        cloudwatch_metrics_enabled=True,
                        metric_name=f"{name}-{rule_name}",
                        # A sample would show headers, API keys among them.
                        sampled_requests_enabled=False,
                    ),
                    **outcome,
                )
                for priority, (rule_name, statement, outcome) in enumerate(rules)
            ],
            visibility_config=Wafv2WebAclVisibilityConfig(
                cloudwatch_metrics_enabled=True,
                metric_name=name,
                sampled_requests_enabled=False,
            ),
            tags=dict(tags or {}),
        )
        Wafv2WebAclAssociation(
            self,
            "association",
            provider=provider,
            resource_arn=stage.arn,
            web_acl_arn=self.web_acl.arn,
        )
