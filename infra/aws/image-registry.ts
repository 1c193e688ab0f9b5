import { Construct } from 'constructs';
import { EcrLifecyclePolicy } from '@cdktf/provider-aws/lib/ecr-lifecycle-policy/index.js';
import { EcrRepository } from '@cdktf/provider-aws/lib/ecr-repository/index.js';
import { MODEL_SERVER } from '../image-digests.ts';
import type { AwsStack } from './aws-stack.ts';

/** So many releases a service can go back to. */
const KEPT_IMAGES = 30;
/** As the registry counts an image where tags are not asked for: its index, what runs, and its SBOM with its provenance. */
const COUNTED_PER_IMAGE = 3;
/** As CodePipeline tags what was approved, before it runs (.ci/codebuild/keep-images.sh). */
const DEPLOYED = 'deployed-';

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
              // What has such a tag is expired by no other rule, however many images come that nobody approves.
              lastImages(1, 'deployed images', KEPT_IMAGES, { tagStatus: 'tagged', tagPrefixList: [DEPLOYED] }),
              lastImages(2, 'images', KEPT_IMAGES * COUNTED_PER_IMAGE, { tagStatus: 'any' }),
            ],
          }),
        });
        return [service, repository];
      }),
    );
  }
}

function lastImages(rulePriority: number, which: string, countNumber: number, selection: object) {
  return {
    rulePriority,
    description: `The last ${KEPT_IMAGES} ${which}`,
    selection: { ...selection, countType: 'imageCountMoreThan', countNumber },
    action: { type: 'expire' },
  };
}
