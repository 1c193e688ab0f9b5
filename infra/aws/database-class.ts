import { databaseSize } from '../../core/decision/database-class.ts';
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

/** What a copy of the database was priced with, in GB. */
export function databaseStorage({ demand }: Site): number {
  return Math.max(LEAST_STORAGE_GB, Math.ceil(demand.databaseGb));
}
