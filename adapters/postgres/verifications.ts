import type { Contract } from '#core/contracts/contract.ts';
import { alarmJournalContract } from '#core/contracts/alarm-journal.contract.ts';
import { auditTrailContract } from '#core/contracts/audit-trail.contract.ts';
import { checkpointStoreContract } from '#core/contracts/checkpoint-store.contract.ts';
import { deviceRegistryContract } from '#core/contracts/device-registry.contract.ts';
import { machineRegistryContract } from '#core/contracts/machine-registry.contract.ts';
import { modelRegistryContract } from '#core/contracts/model-registry.contract.ts';
import { ruleStoreContract } from '#core/contracts/rule-store.contract.ts';
import { timeSeriesStoreContract } from '#core/contracts/time-series-store.contract.ts';
import { tokenIssuerContract } from '#core/contracts/token-issuer.contract.ts';
import {
  deployedContract,
  VERIFICATION_MARK,
  wasLeft,
  type Verification,
  type VerificationTools,
} from '#core/contracts/verification.ts';
import type { ObjectStore } from '#core/ports/object-store.ts';
import {
  alarmJournalHarness,
  auditTrailHarness,
  checkpointStoreHarness,
  deviceRegistryHarness,
  machineRegistryHarness,
  modelRegistryHarness,
  postgresTokenIssuerHarness,
  ruleStoreHarness,
  timeSeriesStoreHarness,
} from './contract-harnesses.ts';
import { connectionOf, type PostgresConnection } from './connection-config.ts';
import { postgresPortError } from './postgres-errors.ts';
import type { PostgresAlarmJournalConfig } from './postgres-alarm-journal/config.ts';
import type { PostgresAuditTrailConfig } from './postgres-audit-trail/config.ts';
import type { PostgresCheckpointStoreConfig } from './postgres-checkpoint-store/config.ts';
import type { PostgresDeviceRegistryConfig } from './postgres-device-registry/config.ts';
import type { PostgresMachineRegistryConfig } from './postgres-machine-registry/config.ts';
import type { PostgresModelRegistryConfig } from './postgres-model-registry/config.ts';
import type { PostgresRuleStoreConfig } from './postgres-rule-store/config.ts';
import { PostgresServer } from './postgres-server.ts';
import type { PostgresTimeSeriesStoreConfig } from './postgres-time-series-store/config.ts';
import type { PostgresTokenIssuerConfig } from './postgres-token-issuer/config.ts';

export function verifyCheckpointStore(settings: PostgresCheckpointStoreConfig, tools: VerificationTools) {
  return inOwnSchemas(settings, tools, checkpointStoreContract, (fresh) => checkpointStoreHarness(fresh()));
}

export function verifyRuleStore(settings: PostgresRuleStoreConfig, tools: VerificationTools) {
  return inOwnSchemas(settings, tools, ruleStoreContract, (fresh) => ruleStoreHarness(fresh()));
}

export function verifyAlarmJournal(settings: PostgresAlarmJournalConfig, tools: VerificationTools) {
  return inOwnSchemas(settings, tools, alarmJournalContract, (fresh) => alarmJournalHarness(fresh()));
}

export function verifyAuditTrail(settings: PostgresAuditTrailConfig, tools: VerificationTools) {
  return inOwnSchemas(settings, tools, auditTrailContract, (fresh) => auditTrailHarness(fresh()));
}

export function verifyDeviceRegistry(settings: PostgresDeviceRegistryConfig, tools: VerificationTools) {
  return inOwnSchemas(settings, tools, deviceRegistryContract, (fresh) => deviceRegistryHarness(fresh()));
}

export function verifyMachineRegistry(settings: PostgresMachineRegistryConfig, tools: VerificationTools) {
  return inOwnSchemas(settings, tools, machineRegistryContract, (fresh) => machineRegistryHarness(fresh()));
}

export function verifyTimeSeriesStore(settings: PostgresTimeSeriesStoreConfig, tools: VerificationTools) {
  return inOwnSchemas(settings, tools, timeSeriesStoreContract, timeSeriesStoreHarness);
}

/** With keys that are the run's own, in memory: those of the site are left alone. */
export function verifyTokenIssuer(settings: PostgresTokenIssuerConfig, tools: VerificationTools) {
  return inOwnSchemas(settings, tools, tokenIssuerContract, (fresh) => postgresTokenIssuerHarness(fresh()));
}

/** Its artifacts lie on this machine for the time of the run: a case damages them, and the site's object store is verified by itself. */
export function verifyModelRegistry(settings: PostgresModelRegistryConfig, tools: VerificationTools) {
  return inOwnSchemas(settings, tools, modelRegistryContract, async (fresh) => {
    const objects = await tools.get('objectStore');
    await empty(objects);
    return modelRegistryHarness(fresh(), objects);
  });
}

/** Whole names alone: others in the database may have the mark in theirs, and quotes. */
const OWN_SCHEMA = new RegExp(`^${VERIFICATION_MARK.replaceAll('-', '_')}_[0-9a-z]+_[0-9]+$`);

async function empty(objects: ObjectStore): Promise<void> {
  for (const { key } of await objects.list({ prefix: '', limit: 10_000 })) await objects.delete(key);
}

/** Each case has schemas of its own in the site's database, which are dropped after it. */
async function inOwnSchemas<Settings extends PostgresConnection, Harness>(
  settings: Settings,
  { run }: VerificationTools,
  contract: Contract<Harness>,
  makeHarness: (fresh: () => Settings) => Promise<Harness & AsyncDisposable>,
): Promise<Verification> {
  const { database, user } = settings;
  const begin = `${VERIFICATION_MARK}-${run}`.replaceAll('-', '_');
  const server = await PostgresServer.use(connectionOf(settings));
  const query = async (text: string) => {
    try {
      return (await server.pool.query<{ nspname: string }>(text)).rows;
    } catch (error) {
      throw postgresPortError(error);
    }
  };
  const drop = (schema: string) => query(`drop schema if exists "${schema}" cascade`);
  let made = 0;
  return {
    makes: `schemas ${begin}_* in database ${database}, one or two at a time`,
    needs: `GRANT CREATE ON DATABASE ${database} TO ${user}`,
    contracts: [
      deployedContract(contract, async () => {
        const schemas: string[] = [];
        const fresh = () => {
          const schema = `${begin}_${++made}`;
          schemas.push(schema);
          return { ...settings, schema };
        };
        const harness = await makeHarness(fresh);
        const dispose = async () => {
          await harness[Symbol.asyncDispose]();
          for (const schema of schemas) await drop(schema);
        };
        return { ...harness, [Symbol.asyncDispose]: dispose };
      }),
    ],
    sweep: async (isOver) => {
      const rows = await query('select nspname from pg_namespace');
      const own = rows.map(({ nspname }) => nspname).filter((name) => OWN_SCHEMA.test(name));
      const left = own.filter((name) => wasLeft(name, isOver));
      for (const schema of left) await drop(schema);
      return left.length;
    },
    close: () => server.release(),
  };
}
