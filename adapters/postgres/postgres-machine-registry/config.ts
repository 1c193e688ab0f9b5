import { z } from 'zod';
import { inClearOnThisHostAlone, postgresConnectionShape } from '../connection-config.ts';

export const postgresMachineRegistryConfigSchema = z
  .strictObject({
    ...postgresConnectionShape,
    maxMachines: z.int().min(1).default(100_000),
    /** Unknown machines that are remembered for each tenant. */
    maxQuarantined: z.int().min(1).max(10_000).default(1000),
    /** Sightings are written together, so that a flood of unknown names costs a transaction in this time and not one a message. */
    quarantineFlushMs: z.int().min(0).max(10_000).default(250),
    maxEventsPerMachine: z.int().min(1).default(10_000),
  })
  .refine(...inClearOnThisHostAlone);

export type PostgresMachineRegistryConfig = z.infer<typeof postgresMachineRegistryConfigSchema>;
