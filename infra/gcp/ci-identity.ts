import { Construct } from 'constructs';
import { ArtifactRegistryRepositoryIamMember } from '@cdktf/provider-google/lib/artifact-registry-repository-iam-member/index.js';
import { IamWorkloadIdentityPoolProvider } from '@cdktf/provider-google/lib/iam-workload-identity-pool-provider/index.js';
import { IamWorkloadIdentityPool } from '@cdktf/provider-google/lib/iam-workload-identity-pool/index.js';
import { ServiceAccountIamMember } from '@cdktf/provider-google/lib/service-account-iam-member/index.js';
import { ServiceAccount } from '@cdktf/provider-google/lib/service-account/index.js';
import { githubRepository } from '../github-repository.ts';
import { acknowledge } from '../policy/acknowledge.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { ImageRegistry } from './image-registry.ts';
import type { ProjectServices } from './project-services.ts';
import { serviceAccountId } from './service-account-id.ts';

const ISSUER = 'https://token.actions.githubusercontent.com';

interface Parts {
  readonly registry: ImageRegistry;
  readonly services: ProjectServices;
}

/**
 * The account that the pipeline takes by a token of its run, so that no key is stored: it pushes images, and rolls services (the rights for that
 * are with the services).
 */
export class CiIdentity extends Construct {
  /** `serviceAccount:tribo-gent-dev-ci@<project>.iam.gserviceaccount.com`. */
  readonly member: string;

  constructor(scope: GcpStack, id: string, { registry, services }: Parts) {
    super(scope, id);
    const { names, environment } = scope.site;
    const repository = githubRepository(this);
    const pool = new IamWorkloadIdentityPool(this, 'pool', {
      workloadIdentityPoolId: names.of('ci', 32),
      displayName: 'Pipeline of Tribo',
      description: `Runs that deploy ${names.base}`,
      dependsOn: [...services.all],
    });
    // A run in GitHub's environment of the stage alone, whose reviewers let it pass.
    const subject = `repo:${repository.stringValue}:environment:${environment.stage}`;
    const provider = new IamWorkloadIdentityPoolProvider(this, 'github', {
      workloadIdentityPoolId: pool.workloadIdentityPoolId,
      workloadIdentityPoolProviderId: 'github',
      displayName: 'GitHub Actions',
      attributeMapping: { 'google.subject': 'assertion.sub' },
      attributeCondition: `assertion.sub == "${subject}"`,
      oidc: { issuerUri: ISSUER },
    });
    acknowledge(provider, {
      CKV_GCP_125: 'The whole subject is compared, repository and environment, which is known as it is applied',
    });
    const account = new ServiceAccount(this, 'account', {
      accountId: serviceAccountId(names, 'ci'),
      displayName: `${names.base}: pipeline`,
      description: 'Pushes images and rolls services',
      dependsOn: [...services.all],
    });
    this.member = account.member;
    new ServiceAccountIamMember(this, 'federation', {
      serviceAccountId: account.name,
      role: 'roles/iam.workloadIdentityUser',
      member: `principal://iam.googleapis.com/${pool.name}/subject/${subject}`,
    });
    new ArtifactRegistryRepositoryIamMember(this, 'images', {
      location: registry.location,
      repository: registry.repository.name,
      role: 'roles/artifactregistry.writer',
      member: account.member,
    });
  }
}
