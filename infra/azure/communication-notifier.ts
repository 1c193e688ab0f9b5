import { Construct } from 'constructs';
import { CommunicationServiceEmailDomainAssociation } from '@cdktf/provider-azurerm/lib/communication-service-email-domain-association/index.js';
import { CommunicationService } from '@cdktf/provider-azurerm/lib/communication-service/index.js';
import { EmailCommunicationServiceDomain } from '@cdktf/provider-azurerm/lib/email-communication-service-domain/index.js';
import { EmailCommunicationService } from '@cdktf/provider-azurerm/lib/email-communication-service/index.js';
import { regionNamed, staysWithin } from '../../core/decision/regions.ts';
import type { Site } from '../site.ts';
import type { AzureStack } from './azure-stack.ts';
import type { NotifierSection } from './ports.ts';

/** Where mails are kept while they are on their way, by country; elsewhere in the Union it is `Europe`. */
const LOCATIONS: Readonly<Record<string, string>> = {
  AE: 'UAE',
  AU: 'Australia',
  BR: 'Brazil',
  CA: 'Canada',
  CH: 'Switzerland',
  DE: 'Germany',
  FR: 'France',
  GB: 'UK',
  HK: 'Asia Pacific',
  ID: 'Asia Pacific',
  IN: 'India',
  JP: 'Japan',
  KR: 'Korea',
  MY: 'Asia Pacific',
  NO: 'Norway',
  NZ: 'Asia Pacific',
  SG: 'Asia Pacific',
  US: 'United States',
  ZA: 'Africa',
};

/** Communication Services, which mail alarms of machines to whoever answers for the site, from a domain that Azure keeps. */
export class CommunicationNotifier extends Construct {
  readonly serviceId: string;
  readonly section: NotifierSection;

  constructor(scope: AzureStack, id: string) {
    super(scope, id);
    const { site, place } = scope;
    const { resourceGroupName } = place;
    const dataLocation = locationOf(site);
    const service = new CommunicationService(this, 'service', {
      name: scope.globalName('mail', 63),
      resourceGroupName,
      dataLocation,
    });
    const mail = new EmailCommunicationService(this, 'mail', {
      name: scope.globalName('mail-domains', 63),
      resourceGroupName,
      dataLocation,
    });
    const domain = new EmailCommunicationServiceDomain(this, 'domain', {
      name: 'AzureManagedDomain',
      emailServiceId: mail.id,
      domainManagement: 'AzureManaged',
      userEngagementTrackingEnabled: false,
    });
    new CommunicationServiceEmailDomainAssociation(this, 'domain-of-service', {
      communicationServiceId: service.id,
      emailServiceDomainId: domain.id,
    });
    this.serviceId = service.id;
    this.section = {
      endpoint: `https://${service.hostname}`,
      from: `DoNotReply@${domain.fromSenderDomain}`,
      to: [site.environment.tags.owner],
      publicUrl: `https://${site.environment.domain}`,
    };
  }
}

function locationOf({ region }: Site): string {
  const { country } = regionNamed('azure', region)!;
  const own = LOCATIONS[country];
  if (own !== undefined) return own;
  if (staysWithin(country, ['EU'])) return 'Europe';
  throw new Error(`Communication Services keep no mails in ${country}: name a region of another country first`);
}
