import { Construct } from 'constructs';
import { CdnFrontdoorCustomDomain } from '@cdktf/provider-azurerm/lib/cdn-frontdoor-custom-domain/index.js';
import { CdnFrontdoorEndpoint } from '@cdktf/provider-azurerm/lib/cdn-frontdoor-endpoint/index.js';
import { CdnFrontdoorProfile } from '@cdktf/provider-azurerm/lib/cdn-frontdoor-profile/index.js';
import { CdnFrontdoorSecurityPolicy } from '@cdktf/provider-azurerm/lib/cdn-frontdoor-security-policy/index.js';
import { DnsARecord } from '@cdktf/provider-azurerm/lib/dns-a-record/index.js';
import { DnsTxtRecord } from '@cdktf/provider-azurerm/lib/dns-txt-record/index.js';
import { leadToApi, type FrontDoor } from './api-origin.ts';
import type { AzureStack } from './azure-stack.ts';
import type { ContainerApps } from './container-apps.ts';
import { Firewall } from './firewall.ts';
import type { FoundationStack } from './foundation-stack.ts';
import { tiersOf } from './tiers.ts';

/** The longest that Front Door waits for the API; the platform's event streams send something more often. */
const ANSWER_S = 240;
const LOGS = ['FrontDoorAccessLog', 'FrontDoorHealthProbeLog', 'FrontDoorWebApplicationFirewallLog'];

interface Parts {
  readonly foundation: FoundationStack;
  /** Undefined where they are in a cluster, of which the stack `services` leads here. */
  readonly services?: ContainerApps;
}

/** The one way in for people and programs: DNS, certificate, firewall and Front Door, before the API alone. Devices come by IoT Hub. */
export class Ingress extends Construct {
  readonly profile: CdnFrontdoorProfile;
  /** What leads to the API hangs on these. */
  readonly frontDoor: FrontDoor;

  constructor(scope: AzureStack, id: string, parts: Parts) {
    super(scope, id);
    const { site, place } = scope;
    const { names } = site;
    this.profile = new CdnFrontdoorProfile(this, 'profile', {
      name: names.of('api', 90),
      resourceGroupName: place.resourceGroupName,
      skuName: tiersOf(site).frontDoor,
      responseTimeoutSeconds: ANSWER_S,
      // Tokens of links that sign somebody in are in there.
      logScrubbingRule: [{ matchVariable: 'QueryStringArgNames' }],
    });
    parts.foundation.logs.of(this, this.profile.id, LOGS);
    const endpoint = new CdnFrontdoorEndpoint(this, 'endpoint', {
      name: names.of('api', 46),
      cdnFrontdoorProfileId: this.profile.id,
    });
    const domain = this.#domain(scope, parts.foundation, endpoint);
    this.frontDoor = { profileId: this.profile.id, endpointId: endpoint.id, domainId: domain.id };
    if (parts.services) this.#leadTo(scope, parts.services);
    this.#guarded(scope, domain);
  }

  #leadTo({ site, place }: AzureStack, { environment, api }: ContainerApps): void {
    const host = api.ingress.fqdn;
    leadToApi(this, this.frontDoor, {
      ...{ host, hostHeader: host, protocol: 'Https' },
      ...(tiersOf(site).isPrivate && {
        privateLink: {
          location: place.location,
          privateLinkTargetId: environment.id,
          targetType: 'managedEnvironments',
          requestMessage: `Front Door of ${site.names.base}`,
        },
      }),
    });
  }

  /**
   * Its certificate is Azure's. Front Door renews it by itself only where a CNAME leads to it, which the apex of a zone cannot have: it waits to
   * be shown the domain anew, by a token that is put into the zone (infra/README.md).
   */
  #domain(
    { site: { environment } }: AzureStack,
    { domain: { zone } }: FoundationStack,
    endpoint: CdnFrontdoorEndpoint,
  ): CdnFrontdoorCustomDomain {
    const domain = new CdnFrontdoorCustomDomain(this, 'domain', {
      name: 'api',
      cdnFrontdoorProfileId: this.profile.id,
      dnsZoneId: zone.id,
      hostName: environment.domain,
      tls: { certificateType: 'ManagedCertificate', minimumTlsVersion: 'TLS12' },
    });
    const { resourceGroupName, name: zoneName } = zone;
    new DnsTxtRecord(this, 'domain-proof', {
      name: '_dnsauth',
      zoneName,
      resourceGroupName,
      ttl: 300,
      record: [{ value: domain.validationToken }],
    });
    new DnsARecord(this, 'address', {
      name: '@',
      zoneName,
      resourceGroupName,
      ttl: 300,
      targetResourceId: endpoint.id,
    });
    return domain;
  }

  #guarded(scope: AzureStack, domain: CdnFrontdoorCustomDomain): void {
    new CdnFrontdoorSecurityPolicy(this, 'guarded', {
      name: 'api',
      cdnFrontdoorProfileId: this.profile.id,
      securityPolicies: {
        firewall: {
          cdnFrontdoorFirewallPolicyId: new Firewall(scope, 'firewall').id,
          association: { patternsToMatch: ['/*'], domain: [{ cdnFrontdoorDomainId: domain.id }] },
        },
      },
    });
  }
}
