import { Construct } from 'constructs';
import {
  ComputeSecurityPolicy,
  type ComputeSecurityPolicyRule,
} from '@cdktf/provider-google/lib/compute-security-policy/index.js';
import { acknowledge } from '../policy/acknowledge.ts';
import type { GcpStack } from './gcp-stack.ts';

/** Of one address in a minute: thrice what the API takes of one caller (TRIBO_TELEMETRY_REQUESTS_PER_S), which gateways of plants may be. */
const REQUESTS_IN_A_MINUTE = 400_000;
const MINUTE_S = 60;
/** Where Cloud Armor has the rule for all that no other is for. */
const LAST = 2_147_483_647;
const ANYONE = { versionedExpr: 'SRC_IPS_V1', config: { srcIpRanges: ['*'] } };

/** What is turned away before it reaches the API: known attacks, and floods from one address. Three rules, as was priced. */
export class Firewall extends Construct {
  readonly policyId: string;
  readonly policyName: string;

  constructor(scope: GcpStack, id: string) {
    super(scope, id);
    const policy = new ComputeSecurityPolicy(this, 'policy', {
      name: scope.site.names.of('api', 63),
      description: 'Before the API',
      type: 'CLOUD_ARMOR',
      advancedOptionsConfig: { jsonParsing: 'STANDARD', logLevel: 'NORMAL' },
      rule: [
        refused(1000, 'cve-canary', 'Known holes, Log4j among them'),
        refused(1001, 'scannerdetection-v33-stable', 'Programs that look for holes'),
        flood(2000),
        { action: 'allow', priority: LAST, description: 'All else', match: ANYONE },
      ],
    });
    acknowledge(policy, {
      CKV_GCP_73:
        'checkov fails where none of its two wordings is; the rule of cve-canary is a test of the platform stack',
    });
    this.policyId = policy.id;
    this.policyName = policy.name;
  }
}

/** A group of rules that the vendor keeps. */
function refused(priority: number, group: string, description: string): ComputeSecurityPolicyRule {
  return {
    action: 'deny(403)',
    priority,
    description,
    match: { expr: { expression: `evaluatePreconfiguredWaf('${group}', {'sensitivity': 1})` } },
  };
}

function flood(priority: number): ComputeSecurityPolicyRule {
  return {
    action: 'throttle',
    priority,
    description: 'Floods from one address',
    match: ANYONE,
    rateLimitOptions: {
      conformAction: 'allow',
      exceedAction: 'deny(429)',
      enforceOnKey: 'IP',
      rateLimitThreshold: { count: REQUESTS_IN_A_MINUTE, intervalSec: MINUTE_S },
    },
  };
}
