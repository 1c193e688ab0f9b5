import type { Construct } from 'constructs';
import { CdnFrontdoorCustomDomainAssociation } from '@cdktf/provider-azurerm/lib/cdn-frontdoor-custom-domain-association/index.js';
import { CdnFrontdoorOriginGroup } from '@cdktf/provider-azurerm/lib/cdn-frontdoor-origin-group/index.js';
import {
  CdnFrontdoorOrigin,
  type CdnFrontdoorOriginPrivateLink,
} from '@cdktf/provider-azurerm/lib/cdn-frontdoor-origin/index.js';
import { CdnFrontdoorRoute } from '@cdktf/provider-azurerm/lib/cdn-frontdoor-route/index.js';
import type { ITerraformDependable } from 'cdktf';

const HEALTH_S = 30;

/** What of Front Door leads to the API, by its ids. */
export interface FrontDoor {
  readonly profileId: string;
  readonly endpointId: string;
  readonly domainId: string;
}

/** Where the API is called. */
interface Origin {
  readonly host: string;
  /** The name that it is asked by. */
  readonly hostHeader: string;
  /** What is spoken there: without TLS on the way of a private link alone. */
  readonly protocol: 'Https' | 'Http';
  /** Undefined where it has a public address. */
  readonly privateLink?: CdnFrontdoorOriginPrivateLink;
  /** What has to be there before it is looked for. */
  readonly dependsOn?: ITerraformDependable[];
}

/** Leads all calls of the domain to the API; `scope` has one such. */
export function leadToApi(scope: Construct, { profileId, endpointId, domainId }: FrontDoor, origin: Origin): void {
  const { host, hostHeader, protocol, privateLink, dependsOn } = origin;
  const group = new CdnFrontdoorOriginGroup(scope, 'origins', {
    name: 'api',
    cdnFrontdoorProfileId: profileId,
    sessionAffinityEnabled: false,
    healthProbe: { protocol, path: '/health/live', requestType: 'GET', intervalInSeconds: HEALTH_S },
    loadBalancing: { sampleSize: 4, successfulSamplesRequired: 2 },
  });
  const api = new CdnFrontdoorOrigin(scope, 'origin', {
    name: 'api',
    cdnFrontdoorOriginGroupId: group.id,
    enabled: true,
    hostName: host,
    originHostHeader: hostHeader,
    httpPort: 80,
    httpsPort: 443,
    certificateNameCheckEnabled: true,
    // To be let in once, by hand (infra/README.md): the provider cannot.
    ...(privateLink && { privateLink }),
    ...(dependsOn && { dependsOn }),
  });
  const route = new CdnFrontdoorRoute(scope, 'route', {
    name: 'api',
    cdnFrontdoorEndpointId: endpointId,
    cdnFrontdoorOriginGroupId: api.cdnFrontdoorOriginGroupId,
    cdnFrontdoorOriginIds: [api.id],
    cdnFrontdoorCustomDomainIds: [domainId],
    // By its own name alone: at another the page would not sign anybody in.
    linkToDefaultDomain: false,
    patternsToMatch: ['/*'],
    supportedProtocols: ['Http', 'Https'],
    httpsRedirectEnabled: true,
    forwardingProtocol: `${protocol}Only`,
  });
  new CdnFrontdoorCustomDomainAssociation(scope, 'domain-of-route', {
    cdnFrontdoorCustomDomainId: domainId,
    cdnFrontdoorRouteIds: [route.id],
  });
}
