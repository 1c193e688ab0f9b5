import { TerraformVariable } from 'cdktf';
import type { Construct } from 'constructs';

/** Whose pipeline deploys an environment: given at each apply, as whoever forks the platform has another. */
export function githubRepository(scope: Construct): TerraformVariable {
  const variable = new TerraformVariable(scope, 'repository', {
    type: 'string',
    description: 'The repository on GitHub whose pipeline deploys this environment: owner/name',
    validation: [
      {
        condition: `\${can(regex("^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$", var.github_repository))}`,
        errorMessage: 'github_repository must be owner/name.',
      },
    ],
  });
  variable.overrideLogicalId('github_repository');
  return variable;
}
