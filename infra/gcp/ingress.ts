import { ComputeBackendService } from '@cdktf/provider-google/lib/compute-backend-service/index.js';
import { ComputeGlobalForwardingRule } from '@cdktf/provider-google/lib/compute-global-forwarding-rule/index.js';
import { ComputeRegionNetworkEndpointGroup } from '@cdktf/provider-google/lib/compute-region-network-endpoint-group/index.js';
import { ComputeTargetHttpProxy } from '@cdktf/provider-google/lib/compute-target-http-proxy/index.js';
import { ComputeTargetHttpsProxy } from '@cdktf/provider-google/lib/compute-target-https-proxy/index.js';
import { ComputeUrlMap } from '@cdktf/provider-google/lib/compute-url-map/index.js';
import { OPEN_STREAM } from '../service-ports.ts';
import { ApiFront, HSTS } from './api-front.ts';
import type { FoundationStack } from './foundation-stack.ts';
import type { CloudRunServices } from './cloud-run-services.ts';
import type { GcpStack } from './gcp-stack.ts';

interface Parts {
  readonly foundation: FoundationStack;
  readonly services: CloudRunServices;
}

/** The one way in for people and programs: DNS, certificate, firewall and balancer, before the API alone. Devices come by their brokers. */
export class Ingress extends ApiFront {
  readonly ofMetrics: string;
  readonly ofAnswers: string;

  constructor(scope: GcpStack, id: string, { foundation, services }: Parts) {
    super(scope, id, foundation);
    const { names, region } = scope.site;
    const name = this.apiName;
    const copies = new ComputeRegionNetworkEndpointGroup(this, 'copies', {
      name,
      region,
      networkEndpointType: 'SERVERLESS',
      cloudRun: { service: services.api.name },
    });
    const backend = new ComputeBackendService(this, 'backend', {
      name,
      loadBalancingScheme: 'EXTERNAL_MANAGED',
      backend: [{ group: copies.id }],
      securityPolicy: this.firewall.policyId,
      customResponseHeaders: [`${HSTS.name}: ${HSTS.value}`],
      logConfig: { enable: true, sampleRate: 1 },
    });
    this.ofMetrics = `resource.labels.backend_target_name="${name}"`;
    this.ofAnswers = `${this.ofMetrics} AND resource.labels.matched_url_path_rule!="${OPEN_STREAM}"`;
    const toApi = new ComputeUrlMap(this, 'to-api', {
      name,
      defaultService: backend.id,
      // It goes where all else goes: with a rule of its own it can be told apart in metrics.
      hostRule: [{ hosts: ['*'], pathMatcher: 'api' }],
      pathMatcher: [
        { name: 'api', defaultService: backend.id, pathRule: [{ paths: [OPEN_STREAM], service: backend.id }] },
      ],
    });
    const secure = new ComputeTargetHttpsProxy(this, 'https-proxy', {
      name,
      urlMap: toApi.id,
      certificateMap: `//certificatemanager.googleapis.com/${this.certificates.id}`,
      sslPolicy: this.tls.id,
    });
    const open = new ComputeTargetHttpProxy(this, 'http-proxy', {
      name,
      urlMap: new ComputeUrlMap(this, 'to-https', {
        name: names.of('to-https', 63),
        defaultUrlRedirect: {
          httpsRedirect: true,
          redirectResponseCode: 'MOVED_PERMANENTLY_DEFAULT',
          stripQuery: false,
        },
      }).id,
    });
    const rule = (part: string, port: number, target: string) =>
      new ComputeGlobalForwardingRule(this, part, {
        name: names.of(part, 63),
        loadBalancingScheme: 'EXTERNAL_MANAGED',
        ipAddress: this.address.address,
        ipProtocol: 'TCP',
        portRange: String(port),
        target,
      });
    rule('https', 443, secure.id);
    rule('http', 80, open.id);
  }
}
