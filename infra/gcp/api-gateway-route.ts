import { Construct } from 'constructs';
import { Manifest } from '@cdktf/provider-kubernetes/lib/manifest/index.js';
import type { ITerraformDependable } from 'cdktf';
import { PUBLIC_SERVICE } from '../service-ports.ts';
import { API_PORT } from '../service-settings.ts';
import { HSTS } from './api-front.ts';
import type { FrontNames } from './cluster-front.ts';

/** The platform's event streams are held for so long. */
const LONGEST_REQUEST_S = 3600;
/** As many of a million calls are in the log: all. */
const LOGGED = 1_000_000;
const HEALTH = { checkIntervalSec: 10, timeoutSec: 5, healthyThreshold: 2, unhealthyThreshold: 3 };
const GATEWAY_API = 'gateway.networking.k8s.io';
const OF_GKE = 'networking.gke.io/v1';

interface Parts {
  readonly namespace: string;
  readonly domain: string;
  readonly front: FrontNames;
  readonly dependsOn: ITerraformDependable[];
}

/**
 * The way of calls to the API: a Gateway, of which GKE makes the balancer, with the address, certificate, firewall and TLS that the platform has.
 * Not attached by a group of endpoints from outside of the cluster: GKE makes those by zone, and only where there are nodes.
 */
export class ApiGatewayRoute extends Construct {
  constructor(scope: Construct, id: string, { namespace, domain, front, dependsOn }: Parts) {
    super(scope, id);
    const name = PUBLIC_SERVICE;
    const make = (kind: string, apiVersion: string, called: string, spec: object, annotations?: object) =>
      new Manifest(this, called, {
        manifest: {
          apiVersion,
          kind,
          metadata: { name: called, namespace, ...(annotations && { annotations }) },
          spec,
        },
        dependsOn,
      });
    make(
      'Gateway',
      `${GATEWAY_API}/v1`,
      name,
      {
        gatewayClassName: 'gke-l7-global-external-managed',
        addresses: [{ type: 'NamedAddress', value: front.address }],
        listeners: [
          { name: 'https', protocol: 'HTTPS', port: 443, allowedRoutes: { namespaces: { from: 'Same' } } },
          { name: 'http', protocol: 'HTTP', port: 80, allowedRoutes: { namespaces: { from: 'Same' } } },
        ],
      },
      { 'networking.gke.io/certmap': front.certificates },
    );
    make('HTTPRoute', `${GATEWAY_API}/v1`, `${name}-https`, {
      parentRefs: [{ name, sectionName: 'https' }],
      hostnames: [domain],
      rules: [
        {
          filters: [{ type: 'ResponseHeaderModifier', responseHeaderModifier: { set: [{ ...HSTS }] } }],
          backendRefs: [{ name, port: API_PORT }],
        },
      ],
    });
    make('HTTPRoute', `${GATEWAY_API}/v1`, `${name}-http`, {
      parentRefs: [{ name, sectionName: 'http' }],
      rules: [{ filters: [{ type: 'RequestRedirect', requestRedirect: { scheme: 'https', statusCode: 301 } }] }],
    });
    const ofService = { group: '', kind: 'Service', name };
    make('GCPBackendPolicy', OF_GKE, `${name}-backend`, {
      default: {
        securityPolicy: front.firewall,
        timeoutSec: LONGEST_REQUEST_S,
        logging: { enabled: true, sampleRate: LOGGED },
      },
      targetRef: ofService,
    });
    make('HealthCheckPolicy', OF_GKE, `${name}-health`, {
      default: { ...HEALTH, config: { type: 'HTTP', httpHealthCheck: { requestPath: '/health/live' } } },
      targetRef: ofService,
    });
    make('GCPGatewayPolicy', OF_GKE, `${name}-tls`, {
      default: { sslPolicy: front.tls },
      targetRef: { group: GATEWAY_API, kind: 'Gateway', name },
    });
  }
}
