import { Construct } from 'constructs';
import {
  CdnFrontdoorFirewallPolicy,
  type CdnFrontdoorFirewallPolicyCustomRule,
  type CdnFrontdoorFirewallPolicyManagedRule,
} from '@cdktf/provider-azurerm/lib/cdn-frontdoor-firewall-policy/index.js';
import type { AzureStack } from './azure-stack.ts';
import { tiersOf } from './tiers.ts';

/** Of one address in five minutes: more than the API takes of one caller (TRIBO_TELEMETRY_REQUESTS_PER_S), which gateways of plants may be. */
const REQUESTS_IN_5_MINUTES = 1_000_000;
/** Of headers that let somebody in. */
const SCRUBBED = ['authorization', 'cookie'];

/** What is turned away before it reaches the API: floods from one address, and with the dearer tier known attacks, by rules that Azure keeps. */
export class Firewall extends Construct {
  readonly id: string;

  constructor(scope: AzureStack, id: string) {
    super(scope, id);
    const { site, place } = scope;
    const { frontDoor } = tiersOf(site);
    this.id = new CdnFrontdoorFirewallPolicy(this, 'policy', {
      // Letters and digits alone, and a letter first.
      name: site.names.of('firewall', 128).replaceAll('-', ''),
      resourceGroupName: place.resourceGroupName,
      skuName: frontDoor,
      enabled: true,
      mode: 'Prevention',
      requestBodyCheckEnabled: true,
      customRule: [flood()],
      ...(frontDoor === 'Premium_AzureFrontDoor' && { managedRule: managed() }),
      logScrubbing: {
        enabled: true,
        scrubbingRule: SCRUBBED.map((selector) => ({
          enabled: true,
          matchVariable: 'RequestHeaderNames',
          operator: 'Equals',
          selector,
        })),
      },
    }).id;
  }
}

function flood(): CdnFrontdoorFirewallPolicyCustomRule {
  return {
    name: 'flood',
    enabled: true,
    priority: 1,
    type: 'RateLimitRule',
    action: 'Block',
    rateLimitDurationInMinutes: 5,
    rateLimitThreshold: REQUESTS_IN_5_MINUTES,
    // Whoever calls: a rule has to have a condition.
    matchCondition: [{ matchVariable: 'SocketAddr', operator: 'IPMatch', matchValues: ['0.0.0.0/0', '::/0'] }],
  };
}

function managed(): CdnFrontdoorFirewallPolicyManagedRule[] {
  return [
    { type: 'Microsoft_DefaultRuleSet', version: '2.1', action: 'Block' },
    { type: 'Microsoft_BotManagerRuleSet', version: '1.1', action: 'Block' },
  ];
}
