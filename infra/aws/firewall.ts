import { Construct } from 'constructs';
import { Wafv2WebAclAssociation } from '@cdktf/provider-aws/lib/wafv2-web-acl-association/index.js';
import { Wafv2WebAclLoggingConfiguration } from '@cdktf/provider-aws/lib/wafv2-web-acl-logging-configuration/index.js';
import { Wafv2WebAcl, type Wafv2WebAclRule } from '@cdktf/provider-aws/lib/wafv2-web-acl/index.js';
import type { AwsStack } from './aws-stack.ts';
import { logGroup } from './log-group.ts';

/** Of one address in five minutes: thrice what the API takes of one caller (TRIBO_TELEMETRY_REQUESTS_PER_S), which gateways of plants may be. */
const REQUESTS_IN_5_MINUTES = 2_000_000;

interface Parts {
  readonly balancerArn: string;
  readonly keyArn: string;
}

/** What is turned away before it reaches the API: known attacks, and floods from one address. */
export class Firewall extends Construct {
  constructor(scope: AwsStack, id: string, { balancerArn, keyArn }: Parts) {
    super(scope, id);
    const { names } = scope.site;
    const acl = new Wafv2WebAcl(this, 'acl', {
      name: names.of('api', 128),
      description: 'Before the API',
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      rule: [
        // Batches of readings are larger than 8 KB: bodies are counted, and limited by the API itself.
        managed(0, 'AWSManagedRulesCommonRuleSet', ['SizeRestrictions_BODY']),
        managed(1, 'AWSManagedRulesKnownBadInputsRuleSet'),
        flood(2),
      ],
      visibilityConfig: seenAs(names.base),
    });
    new Wafv2WebAclAssociation(this, 'before-the-balancer', { resourceArn: balancerArn, webAclArn: acl.arn });
    // The begin that WAF wants of a group that it writes to.
    const log = logGroup(this, 'log', scope.site, { name: `aws-waf-logs-${names.base}`, keyArn });
    new Wafv2WebAclLoggingConfiguration(this, 'logging', {
      resourceArn: acl.arn,
      logDestinationConfigs: [log.arn],
      redactedFields: ['authorization', 'cookie'].map((name) => ({ singleHeader: { name } })),
    });
  }
}

/** A group of rules that the vendor keeps; of those that are named it is only counted how often they match. */
function managed(priority: number, name: string, counted: readonly string[] = []): Wafv2WebAclRule {
  return {
    name,
    priority,
    overrideAction: { none: {} },
    statement: {
      managed_rule_group_statement: {
        vendor_name: 'AWS',
        name,
        ...(counted.length > 0 && {
          rule_action_override: counted.map((rule) => ({ name: rule, action_to_use: { count: {} } })),
        }),
      },
    },
    visibilityConfig: seenAs(name),
  };
}

function flood(priority: number): Wafv2WebAclRule {
  return {
    name: 'flood',
    priority,
    action: { block: {} },
    statement: {
      rate_based_statement: { limit: REQUESTS_IN_5_MINUTES, aggregate_key_type: 'IP', evaluation_window_sec: 300 },
    },
    visibilityConfig: seenAs('flood'),
  };
}

function seenAs(metricName: string) {
  return { metricName, cloudwatchMetricsEnabled: true, sampledRequestsEnabled: true };
}
