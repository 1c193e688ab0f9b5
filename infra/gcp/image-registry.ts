import { Construct } from 'constructs';
import { ArtifactRegistryRepository } from '@cdktf/provider-google/lib/artifact-registry-repository/index.js';
import type { EncryptionKey } from './encryption-key.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { SecondKeys } from './second-keys.ts';

/** So many releases a service can go back to. */
const KEPT_IMAGES = 30;
/** After so long an image that is not among those is removed. */
const REMOVED_AFTER_S = 90 * 86_400;

/** The repository of the site's images, one a service in it: in its region, or over a continent where they are to outlive that. */
export class ImageRegistry extends Construct {
  readonly repository: ArtifactRegistryRepository;
  /** A region, or the continent of both. */
  readonly location: string;
  /** `europe-west1-docker.pkg.dev`. */
  readonly host: string;
  /** What an image's name begins with: `europe-west1-docker.pkg.dev/<project>/tribo-gent-dev`. */
  readonly address: string;

  constructor(
    scope: GcpStack,
    id: string,
    { key, second }: { readonly key: EncryptionKey; readonly second: SecondKeys | undefined },
  ) {
    super(scope, id);
    const { names, region } = scope.site;
    const { keyName, access } = second?.continent ?? key;
    this.location = second?.place.span.continent ?? region;
    this.host = `${this.location}-docker.pkg.dev`;
    this.repository = new ArtifactRegistryRepository(this, 'images', {
      repositoryId: names.base,
      location: this.location,
      description: `Images of ${names.base}`,
      format: 'DOCKER',
      mode: 'STANDARD_REPOSITORY',
      kmsKeyName: keyName,
      // Tags may move: what is deployed is named by digest, and an image of which the tag may not go is never removed.
      vulnerabilityScanningConfig: { enablementConfig: 'INHERITED' },
      cleanupPolicies: [
        { id: 'last', action: 'KEEP', mostRecentVersions: { keepCount: KEPT_IMAGES } },
        { id: 'older', action: 'DELETE', condition: { tagState: 'ANY', olderThan: `${REMOVED_AFTER_S}s` } },
      ],
      dependsOn: [access],
    });
    this.address = `${this.host}/${scope.project}/${names.base}`;
  }

  /** By digest: what a tag points to may change, a digest never does. */
  image(name: string, digest: string): string {
    return `${this.address}/${name}@${digest}`;
  }
}
