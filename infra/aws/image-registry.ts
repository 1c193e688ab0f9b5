import { Construct } from 'constructs';
import { EcrLifecyclePolicy } from '@cdktf/provider-aws/lib/ecr-lifecycle-policy/index.js';
import { EcrRepository } from '@cdktf/provider-aws/lib/ecr-repository/index.js';
import { MODEL_SERVER } from '../image-digests.ts';
import type { AwsStack } from './aws-stack.ts';

/** So many releases a service can go back to. */
const KEPT_IMAGES = 30;

/** A repository a service: `tribo-akron-dev/ingestion-service`. An image that is there is never replaced, and is looked through when it comes. */
export class ImageRegistry extends Construct {
  /** By service. */
  readonly repositories: ReadonlyMap<string, EcrRepository>;

  constructor(scope: AwsStack, id: string, { keyArn }: { readonly keyArn: string }) {
    super(scope, id);
    const { names, demand, environment, isProtected } = scope.site;
    const services = demand.services.map(({ service }) => service);
    const images = environment.switches.modelEndpoint === 'none' ? services : [...services, MODEL_SERVER];
    this.repositories = new Map(
      images.map((service) => {
        const repository = new EcrRepository(this, service, {
          name: `${names.base}/${service}`,
          imageTagMutability: 'IMMUTABLE',
          imageScanningConfiguration: { scanOnPush: true },
          encryptionConfiguration: [{ encryptionType: 'KMS', kmsKey: keyArn }],
          forceDelete: !isProtected,
        });
        new EcrLifecyclePolicy(this, `${service}-lifecycle`, {
          repository: repository.name,
          policy: JSON.stringify({
            rules: [
              {
                rulePriority: 1,
                description: `The last ${KEPT_IMAGES} images`,
                selection: { tagStatus: 'any', countType: 'imageCountMoreThan', countNumber: KEPT_IMAGES },
                action: { type: 'expire' },
              },
            ],
          }),
        });
        return [service, repository];
      }),
    );
  }
}
