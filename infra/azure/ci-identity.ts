import { TerraformOutput, TerraformVariable } from 'cdktf';
import { Construct } from 'constructs';
import { FederatedIdentityCredential } from '@cdktf/provider-azurerm/lib/federated-identity-credential/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import type { AzureStack } from './azure-stack.ts';
import type { ImageRegistry } from './image-registry.ts';

/** Whom a token has to be for, that Entra ID takes in place of a secret. */
export const AUDIENCE = 'api://AzureADTokenExchange';

/**
 * As whom the pipeline comes in, by a token of its run, so that no key is stored: it pushes images, and rolls services by a role that the stack
 * of the platform gives it, and may do nothing else.
 */
export class CiIdentity extends Construct {
  readonly principalId: string;

  constructor(scope: AzureStack, id: string, { registry }: ImageRegistry) {
    super(scope, id);
    const { site, place } = scope;
    const { names, environment } = site;
    const repository = new TerraformVariable(this, 'repository', {
      type: 'string',
      description: 'The repository on GitHub whose pipeline deploys this environment: owner/name',
      validation: [
        {
          condition: `\${can(regex("^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$", var.github_repository))}`,
          errorMessage: 'github_repository must be owner/name.',
        },
      ],
    });
    repository.overrideLogicalId('github_repository');
    const identity = new UserAssignedIdentity(this, 'identity', { ...place, name: names.of('ci', 128) });
    this.principalId = identity.principalId;
    new FederatedIdentityCredential(this, 'github', {
      name: 'github',
      resourceGroupName: place.resourceGroupName,
      parentId: identity.id,
      issuer: 'https://token.actions.githubusercontent.com',
      audience: [AUDIENCE],
      // A run in GitHub's environment of the stage alone, whose reviewers let it pass.
      subject: `repo:${repository.stringValue}:environment:${environment.stage}`,
    });
    new RoleAssignment(this, 'pushes', {
      scope: registry.id,
      roleDefinitionName: 'AcrPush',
      principalId: identity.principalId,
      principalType: 'ServicePrincipal',
      skipServicePrincipalAadCheck: true,
    });
    new TerraformOutput(this, 'client-id', {
      value: identity.clientId,
      description: 'For azure/login in the pipeline: no secret',
      staticId: true,
    }).overrideLogicalId('ci_client_id');
  }
}
