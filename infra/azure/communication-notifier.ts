import { Fn, Token } from 'cdktf';
import { Construct } from 'constructs';
import { EmailCommunicationServiceDomain } from '@cdktf/provider-azurerm/lib/email-communication-service-domain/index.js';
import { EmailCommunicationService } from '@cdktf/provider-azurerm/lib/email-communication-service/index.js';
import { ResourceGroupTemplateDeployment } from '@cdktf/provider-azurerm/lib/resource-group-template-deployment/index.js';
import { regionNamed, staysWithin } from '../../core/decision/regions.ts';
import { mandatoryTags } from '../aspects/tags.ts';
import type { Site } from '../site.ts';
import type { AzureStack } from './azure-stack.ts';
import { madeBy } from './made-by-template.ts';
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

/**
 * The service as Azure's own template, whose keys open nothing: the provider's resource cannot turn them off, and would read them into the state,
 * which whoever may plan reads too.
 */
const SERVICE = {
  $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
  contentVersion: '1.0.0.0',
  parameters: {
    name: { type: 'string' },
    dataLocation: { type: 'string' },
    domain: { type: 'string' },
    tags: { type: 'object' },
  },
  resources: [
    {
      type: 'Microsoft.Communication/communicationServices',
      apiVersion: '2025-05-01',
      name: "[parameters('name')]",
      location: 'global',
      tags: "[parameters('tags')]",
      properties: {
        dataLocation: "[parameters('dataLocation')]",
        linkedDomains: ["[parameters('domain')]"],
        disableLocalAuth: true,
      },
    },
  ],
  outputs: {
    hostName: {
      type: 'string',
      value: "[reference(resourceId('Microsoft.Communication/communicationServices', parameters('name'))).hostName]",
    },
  },
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
    const name = scope.globalName('mail', 63);
    const service = new ResourceGroupTemplateDeployment(this, 'service', {
      name: site.names.of('mail', 64),
      resourceGroupName,
      deploymentMode: 'Incremental',
      templateContent: JSON.stringify(SERVICE),
      parametersContent: Fn.jsonencode({
        name: { value: name },
        dataLocation: { value: dataLocation },
        domain: { value: domain.id },
        tags: { value: mandatoryTags(site.environment) },
      }),
    });
    const hostName = Token.asString(Fn.lookupNested(Fn.jsondecode(service.outputContent), ['hostName', 'value']));
    this.serviceId = madeBy(
      service,
      `${scope.resourceGroup.id}/providers/Microsoft.Communication/communicationServices/${name}`,
    );
    this.section = {
      endpoint: `https://${hostName}`,
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
