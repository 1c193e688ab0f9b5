import { Construct } from 'constructs';
import { ServiceV1 } from '@cdktf/provider-kubernetes/lib/service-v1/index.js';
import type { ITerraformDependable } from 'cdktf';
import { podLabels } from '../kubernetes/pod.ts';
import { PUBLIC_SERVICE } from '../service-ports.ts';
import { API_PORT } from '../service-settings.ts';
import type { AksCluster } from './aks-cluster.ts';
import { leadToApi, type FrontDoor } from './api-origin.ts';
import type { AzureState } from './azure-stack.ts';

const NAME = `${PUBLIC_SERVICE}-balancer`;
const HTTP = 80;
/** As AKS makes it beside its nodes. */
const PRIVATE_LINK = 'api';
const ANNOTATION = 'service.beta.kubernetes.io/azure';

interface Parts {
  readonly cluster: AksCluster;
  readonly frontDoor: FrontDoor;
  /** Of the subnet that the balancer and the private link have their addresses in. */
  readonly range: string;
  readonly dependsOn: ITerraformDependable[];
}

/**
 * The way of calls to the API: a balancer without a public address, and a private link to it, both of which AKS makes of a Service, and by which
 * Front Door comes in. Front Door ends TLS; its calls go on in the private link, which nobody else is let into.
 */
export class PrivateApiRoute extends Construct {
  constructor(scope: AzureState, id: string, { cluster, frontDoor, range, dependsOn }: Parts) {
    super(scope, id);
    const { names, region, environment } = scope.site;
    const balancer = new ServiceV1(this, 'balancer', {
      metadata: {
        name: NAME,
        namespace: cluster.namespace,
        labels: { ...podLabels(PUBLIC_SERVICE) },
        annotations: {
          [`${ANNOTATION}-load-balancer-internal`]: 'true',
          [`${ANNOTATION}-pls-create`]: 'true',
          [`${ANNOTATION}-pls-name`]: PRIVATE_LINK,
          // Front Door asks from a subscription of Azure's that nobody knows before; whoever asks is let in by hand.
          [`${ANNOTATION}-pls-visibility`]: '*',
        },
      },
      // With its address the private link is there too.
      waitForLoadBalancer: true,
      spec: {
        type: 'LoadBalancer',
        // To nodes alone that have a copy, which sees from where it is called.
        externalTrafficPolicy: 'Local',
        loadBalancerSourceRanges: [range],
        selector: { ...podLabels(PUBLIC_SERVICE) },
        port: [{ name: 'api', port: HTTP, targetPort: String(API_PORT), protocol: 'TCP' }],
      },
      dependsOn,
    });
    const address = balancer.status.get(0).loadBalancer.get(0).ingress.get(0).ip;
    leadToApi(this, frontDoor, {
      ...{ host: address, hostHeader: environment.domain, protocol: 'Http' },
      privateLink: {
        location: region,
        privateLinkTargetId: `${cluster.cluster.nodeResourceGroupId}/providers/Microsoft.Network/privateLinkServices/${PRIVATE_LINK}`,
        requestMessage: `Front Door of ${names.base}`,
      },
      dependsOn: [balancer],
    });
  }
}
