import { databaseSize } from '../../core/decision/database-class.ts';
import { connectionsOf, type Connections } from '../connections.ts';
import { mostCopiesOfAll } from '../copies.ts';
import type { Site } from '../site.ts';

/** What was priced (environments/prices/aws.yaml); above the largest of its class the vCPUs double, as the price was taken to. */
const CLASSES: Readonly<Record<ReturnType<typeof databaseSize>['size'], string>> = {
  Small: 'db.t4g.small',
  Medium: 'db.t3.large',
  Large: 'db.t3.xlarge',
  Xlarge: 'db.t3.2xlarge',
};
/** Classes above those, by the vCPU that they have. */
const LARGER: Readonly<Record<number, string>> = {
  16: 'db.m6i.4xlarge',
  32: 'db.m6i.8xlarge',
  64: 'db.m6i.16xlarge',
};
/** GiB of those that were priced; larger ones have more. */
const MEMORY_GIB: Readonly<Record<keyof typeof CLASSES, number>> = { Small: 2, Medium: 8, Large: 16, Xlarge: 32 };
/** What RDS takes a connection for each of, of the memory that its own processes leave, for which four fifths is a guess: AWS says not how much it is. */
const BYTES_A_CONNECTION = 9_531_392;
const LEFT_SHARE = 0.8;
const MOST_UNTOLD = 5_000;
const GIB = 2 ** 30;
const LEAST_STORAGE_GB = 20;

/** The class of instance that the decision counted on. */
export function databaseClass({ demand, environment }: Site): string {
  const { size, times, vcpu, tooSmall } = databaseSize(demand.databaseVcpu, environment.sizes);
  if (tooSmall !== undefined) throw new Error(tooSmall);
  if (times === 1) return CLASSES[size];
  const larger = LARGER[vcpu];
  if (larger === undefined) throw new Error(`no class of RDS is known with ${vcpu} vCPU`);
  return larger;
}

/** `max_connections` is `LEAST({DBInstanceClassMemory/9531392}, 5000)` where no parameter says otherwise. */
export function databaseConnections({ demand, environment }: Site): Connections {
  const { size } = databaseSize(demand.databaseVcpu, environment.sizes);
  const untold = Math.min(MOST_UNTOLD, Math.floor((MEMORY_GIB[size] * GIB * LEFT_SHARE) / BYTES_A_CONNECTION));
  const copies = mostCopiesOfAll(demand.services);
  return connectionsOf({ copies, isSmall: size === 'Small', untold });
}

/** What a copy of the database was priced with, in GB. */
export function databaseStorage({ demand }: Site): number {
  return Math.max(LEAST_STORAGE_GB, Math.ceil(demand.databaseGb));
}
