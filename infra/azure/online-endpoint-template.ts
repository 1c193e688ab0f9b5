/** Of the resources below, in the version that the provider speaks of workspaces. */
const API = '2025-06-01';
const WORKSPACE = 'Microsoft.MachineLearningServices/workspaces';
const ENVIRONMENT = `${WORKSPACE}/environments/versions`;
const ENDPOINT = `${WORKSPACE}/onlineEndpoints`;
const PORT = 8080;
/** Two vCPU, as the smallest that Azure takes for it. */
const INSTANCE_TYPE = 'Standard_F2s_v2';
/** What the model server takes at a time (docs/model-server.md). */
const MOST_REQUESTS = 32;
/** As long as the adapter waits. */
const REQUEST_TIMEOUT = 'PT30S';

/** The one deployment of the endpoint, by which the adapter asks: one that is asked by name needs no share of the traffic. */
export const DEPLOYMENT = 'model-server';

const PARAMETERS = {
  ...{ workspace: 'string', endpoint: 'string', location: 'string', identity: 'string' },
  ...{ image: 'string', version: 'string', instances: 'int', tags: 'object' },
} as const;
type Parameter = keyof typeof PARAMETERS;

/**
 * A managed online endpoint, its one deployment and the environment of that, as a template of Azure Resource Manager: the provider has no resource for
 * them. What differs from site to site are its parameters.
 */
export function onlineEndpointTemplate() {
  const at = { apiVersion: API, location: value('location'), tags: value('tags') };
  const identity = { type: 'UserAssigned', userAssignedIdentities: { [value('identity')]: {} } };
  const environment = idOf(ENVIRONMENT, "'model-server'", "parameters('version')");
  const endpoint = idOf(ENDPOINT, "parameters('endpoint')");
  return {
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    parameters: Object.fromEntries(Object.entries(PARAMETERS).map(([name, type]) => [name, { type }])),
    resources: [
      {
        // A version is never changed: another image is another version.
        type: ENVIRONMENT,
        apiVersion: API,
        name: "[format('{0}/model-server/{1}', parameters('workspace'), parameters('version'))]",
        properties: {
          image: value('image'),
          osType: 'Linux',
          inferenceConfig: {
            livenessRoute: { path: '/health/live', port: PORT },
            readinessRoute: { path: '/health/ready', port: PORT },
            scoringRoute: { path: '/score', port: PORT },
          },
        },
      },
      {
        ...at,
        type: ENDPOINT,
        name: "[format('{0}/{1}', parameters('workspace'), parameters('endpoint'))]",
        identity,
        properties: { authMode: 'AADToken', publicNetworkAccess: 'Disabled' },
      },
      {
        ...at,
        type: `${ENDPOINT}/deployments`,
        name: `[format('{0}/{1}/${DEPLOYMENT}', parameters('workspace'), parameters('endpoint'))]`,
        sku: { name: 'Default', capacity: value('instances') },
        properties: {
          endpointComputeType: 'Managed',
          instanceType: INSTANCE_TYPE,
          environmentId: `[${environment}]`,
          requestSettings: { maxConcurrentRequestsPerInstance: MOST_REQUESTS, requestTimeout: REQUEST_TIMEOUT },
          // By settings of Azure Monitor.
          scaleSettings: { scaleType: 'Default' },
        },
        dependsOn: [`[${environment}]`, `[${endpoint}]`],
      },
    ],
  };
}

function value(parameter: Parameter): string {
  return `[parameters('${parameter}')]`;
}

/** Of something in the workspace, as an expression. */
function idOf(type: string, ...names: readonly string[]): string {
  return `resourceId('${type}', parameters('workspace'), ${names.join(', ')})`;
}
