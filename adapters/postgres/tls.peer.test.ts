import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sql } from 'kysely';
import { stampedEvent } from '#core/contracts/sample-event.ts';
import { until } from '#core/contracts/until.ts';
import { Postgres } from '#test/peers/postgres.ts';
import { certificateAuthority, issuedCertificate } from '#test/support/self-signed-certificate.ts';
import { connectionOf, type PostgresConnection } from './connection-config.ts';
import { PostgresDatabase } from './postgres-database.ts';
import { postgresTimeSeriesStoreConfigSchema } from './postgres-time-series-store/config.ts';
import { PostgresTimeSeriesStore } from './postgres-time-series-store/postgres-time-series-store.ts';

let postgres: Postgres;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-postgres-tls-'));
  const authority = certificateAuthority();
  writeFileSync(join(folder, 'ca.pem'), authority.cert);
  writeFileSync(join(folder, 'other-ca.pem'), certificateAuthority().cert);
  postgres = await Postgres.start({ certificate: issuedCertificate(authority, { names: ['localhost'] }) });
}, 300_000);

afterAll(async () => {
  await postgres[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

type Given = Parameters<typeof connectionOf>[0];

/** As a site gives it that has the authority of its database in a file. */
function verified(given: Partial<Given> = {}) {
  const tlsCaFile = join(folder, 'ca.pem');
  return { ...postgres.freshConnection(), host: 'localhost', tls: 'verify-full', tlsCaFile, ...given } as const;
}

const open = (connection: PostgresConnection) =>
  PostgresDatabase.open({ connection, component: 'parts', migrations: [] });

describe('PostgreSQL over TLS', () => {
  it('settles a batch by COPY', async () => {
    const store = await PostgresTimeSeriesStore.open(postgresTimeSeriesStoreConfigSchema.parse(verified()));
    const [ts, count] = [Date.UTC(2026, 0, 15, 12), 5_000];
    const outcomes = Array.from({ length: count }, (_, at) => {
      const event = stampedEvent(at + 1, { acceptedAtMs: ts });
      return { type: 'readings', event, ts: ts + at, readings: [{ metric: 'm', value: at }] } as const;
    });
    await store.settle({ stream: 'metrics', group: 'store', fence: 1, outcomes });
    expect(await store.settled()).toMatchObject([{ settled: { stored: count } }]);
    expect(await store.latest(outcomes[0]!.event.key)).toMatchObject([{ metric: 'm', value: count - 1 }]);
    await store.close();
  });

  it('hears of the changes of another process, all connections being encrypted', async () => {
    const connection = verified();
    // Other settings, so that they share no connections: as two processes do.
    const [one, other] = [connectionOf(connection), connectionOf({ ...connection, maxConnections: 3 })];
    const [writer, reader] = [await open(one), await open(other)];
    let told = 0;
    reader.onChange(() => told++);
    await until(() => told === 1, 'listening');
    await writer.write('a', async () => undefined);
    await until(() => told === 2, 'told of the change');
    const { rows } = await sql`
      select distinct ssl from pg_stat_ssl join pg_stat_activity using (pid) where application_name = 'tribo'
    `.execute(writer.kysely);
    expect(rows).toEqual([{ ssl: true }]);
    for (const each of [writer, reader]) await each.close();
  });

  it.each<[string, () => Given, string, string]>([
    [
      'of an unknown authority',
      () => verified({ tlsCaFile: join(folder, 'other-ca.pem') }),
      'permission_denied',
      'set tlsCaFile',
    ],
    [
      'of an authority that Node does not know',
      () => ({ ...verified(), tlsCaFile: undefined }),
      'permission_denied',
      'set tlsCaFile',
    ],
    // An address is checked as such, and not as the name localhost.
    ['of another host', () => verified({ host: '127.0.0.1' }), 'permission_denied', 'set host'],
    ['that it is spoken to without, in clear', () => verified({ tls: 'off' }), 'permission_denied', 'set tls'],
  ])('refuses a certificate %s, and says what to do', async (_what, given, code, remedy) => {
    await expect(open(connectionOf(given()))).rejects.toMatchObject({
      code,
      message: expect.stringContaining(remedy),
    });
  });
});
