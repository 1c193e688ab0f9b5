import { databaseGb } from '../../core/decision/azure-plan.ts';
import { databaseSize } from '../../core/decision/database-class.ts';
import { connectionsOf, type Connections } from '../connections.ts';
import { mostCopiesOfAll } from '../copies.ts';
import type { Site } from '../site.ts';

/** What was priced (environments/prices/azure.yaml); above the largest of its class the vCPUs double, as the price was taken to. */
const CLASSES: Readonly<Record<ReturnType<typeof databaseSize>['size'], string>> = {
  Small: 'B_Standard_B2s',
  Medium: 'GP_Standard_D2s_v3',
  Large: 'GP_Standard_D4s_v3',
  Xlarge: 'GP_Standard_D8s_v3',
};
/** What they take where no parameter says otherwise (https://learn.microsoft.com/azure/postgresql/flexible-server/concepts-limits); larger ones take more. */
const UNTOLD: Readonly<Record<keyof typeof CLASSES, number>> = { Small: 429, Medium: 859, Large: 1_718, Xlarge: 3_437 };
/** Whatever its class (same page). */
const MOST_TOLD = 5_000;
const LARGEST_VCPU = 64;
const MB_A_GB = 1024;
/** The size of disk that is not 2^n GB at Azure. */
const ODD_MB: Readonly<Record<number, number>> = { 32_768: 33_553_408 };

/** The class of server that the decision counted on. */
export function databaseClass({ demand, environment }: Site): string {
  const { size, times, vcpu, tooSmall } = databaseSize(demand.databaseVcpu, environment.sizes);
  if (tooSmall !== undefined) throw new Error(tooSmall);
  if (times === 1) return CLASSES[size];
  if (vcpu > LARGEST_VCPU) throw new Error(`no class of Flexible Server is known with ${vcpu} vCPU`);
  return `GP_Standard_D${vcpu}s_v3`;
}

/** Of the database and of its copy elsewhere. */
export function databaseConnections({ demand, environment }: Site): Connections {
  const { size } = databaseSize(demand.databaseVcpu, environment.sizes);
  const copies = mostCopiesOfAll(demand.services);
  return connectionsOf({ copies, isSmall: size === 'Small', untold: UNTOLD[size], most: MOST_TOLD });
}

/** What a copy of the database was priced with. */
export function databaseStorageMb({ demand }: Site): number {
  const gb = databaseGb(demand);
  return ODD_MB[gb] ?? gb * MB_A_GB;
}
