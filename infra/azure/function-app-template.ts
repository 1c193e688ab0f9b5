/** Of the resources below, in the version that the provider speaks of apps. */
const API = '2023-12-01';
const APP = 'Microsoft.Web/sites';
/** As few as may be: what is sent to the queue must not take the event hub from the devices. */
const MOST_INSTANCES = 40;
const MEMORY_MB = 512;

const PARAMETERS = {
  ...{ app: 'string', location: 'string', plan: 'string', identity: 'string', packages: 'string', subnet: 'string' },
  ...{ settings: 'array', access: 'string', deployers: 'array', tags: 'object' },
} as const;
type Parameter = keyof typeof PARAMETERS;

/**
 * An app of Flex Consumption as a template of Azure Resource Manager. The provider's resource would put a connection string without a key before the
 * identity that the runtime opens its account by; where it is told an empty one, the runtime takes that for one too, and each plan says it again, as
 * the provider forgets it when it reads the app. What differs from site to site are its parameters.
 */
export function functionAppTemplate() {
  return {
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    parameters: Object.fromEntries(Object.entries(PARAMETERS).map(([name, type]) => [name, { type }])),
    resources: [
      {
        type: APP,
        apiVersion: API,
        name: value('app'),
        location: value('location'),
        tags: value('tags'),
        kind: 'functionapp,linux',
        identity: { type: 'UserAssigned', userAssignedIdentities: { [value('identity')]: {} } },
        properties: {
          serverFarmId: value('plan'),
          httpsOnly: true,
          publicNetworkAccess: value('access'),
          virtualNetworkSubnetId: value('subnet'),
          functionAppConfig: {
            runtime: { name: 'node', version: '22' },
            scaleAndConcurrency: { instanceMemoryMB: MEMORY_MB, maximumInstanceCount: MOST_INSTANCES },
            deployment: {
              storage: {
                type: 'blobContainer',
                value: value('packages'),
                authentication: {
                  type: 'UserAssignedIdentity',
                  userAssignedIdentityResourceId: value('identity'),
                },
              },
            },
          },
          siteConfig: {
            appSettings: value('settings'),
            ...{ minTlsVersion: '1.2', scmMinTlsVersion: '1.2', http20Enabled: true, vnetRouteAllEnabled: true },
            ...{ ipSecurityRestrictionsDefaultAction: 'Deny', scmIpSecurityRestrictionsDefaultAction: 'Deny' },
            scmIpSecurityRestrictions: value('deployers'),
          },
        },
      },
      // By a password nobody brings a package.
      ...['scm', 'ftp'].map((way) => ({
        type: `${APP}/basicPublishingCredentialsPolicies`,
        apiVersion: API,
        name: `[format('{0}/${way}', parameters('app'))]`,
        properties: { allow: false },
        dependsOn: [`[resourceId('${APP}', parameters('app'))]`],
      })),
    ],
  };
}

function value(parameter: Parameter): string {
  return `[parameters('${parameter}')]`;
}
