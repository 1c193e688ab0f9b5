import { Construct } from 'constructs';
import { DataGoogleStorageProjectServiceAccount } from '@cdktf/provider-google/lib/data-google-storage-project-service-account/index.js';
import { DataKey } from './encryption-key.ts';
import type { GcpStack } from './gcp-stack.ts';
import type { ProjectServices } from './project-services.ts';
import type { SecondPlace } from './second-place.ts';

/** The keys of what outlives the first region: none of them is in that region alone. */
export class SecondKeys extends Construct {
  readonly place: SecondPlace;
  /** Of what is in the second region alone, and of its copies of secrets. */
  readonly there: DataKey;
  /** Of buckets in both regions. */
  readonly buckets: DataKey;
  /** Of images and of streams, which are of no single region. */
  readonly continent: DataKey;

  constructor(
    scope: GcpStack,
    id: string,
    { place, services }: { readonly place: SecondPlace; readonly services: ProjectServices },
  ) {
    super(scope, id);
    this.place = place;
    const { keyLocation, continent } = place.span;
    const dependsOn = [...services.all];
    const storage = new DataGoogleStorageProjectServiceAccount(this, 'storage', { dependsOn });
    const ofContinent = ['artifactregistry', 'pubsub'].map((agent) => scope.serviceAgent(agent));
    const key = (part: string, location: string, members: readonly string[]) =>
      new DataKey(this, part, scope, { location, dependsOn, membersOf: () => members });
    this.there = key(
      'there',
      place.region,
      ['cloud-sql', 'secretmanager'].map((agent) => scope.serviceAgent(agent)),
    );
    if (keyLocation === continent) {
      this.continent = key('continent', continent, [...ofContinent, storage.member]);
      this.buckets = this.continent;
    } else {
      this.continent = key('continent', continent, ofContinent);
      this.buckets = key('buckets', keyLocation, [storage.member]);
    }
  }
}
