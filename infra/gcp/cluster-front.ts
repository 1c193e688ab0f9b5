import { ApiFront } from './api-front.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { GcpStack } from './gcp-stack.ts';
import { GATEWAY_PREFIX } from './resource-names.ts';

/** What a Gateway names of what is made apart from it. */
export interface FrontNames {
  readonly address: string;
  readonly certificates: string;
  readonly firewall: string;
  readonly tls: string;
}

/** Before an API in a cluster: the balancer itself is made by the cluster's Gateway, of these. */
export class ClusterFront extends ApiFront {
  readonly ofMetrics = `resource.labels.backend_target_name=starts_with("${GATEWAY_PREFIX}")`;
  /** What GKE makes of a route's paths in the metrics of its balancer is written nowhere. */
  readonly ofAnswers = undefined;
  readonly parts: FrontNames;

  constructor(scope: GcpStack, id: string, foundation: FoundationStack) {
    super(scope, id, foundation);
    this.parts = {
      address: this.address.name,
      certificates: this.certificates.name,
      firewall: this.firewall.policyName,
      tls: this.tls.name,
    };
  }
}
