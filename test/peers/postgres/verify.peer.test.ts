import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Client } from 'pg';
import { until } from '#core/contracts/until.ts';
import { Postgres } from '../postgres.ts';
import { startVerify, verifySite } from '../verify-site.ts';

const TIMEOUT_MS = 300_000;
const PORTS = [
  ...['checkpointStore', 'ruleStore', 'alarmJournal', 'auditTrail', 'deviceRegistry', 'machineRegistry'],
  ...['modelRegistry', 'timeSeriesStore', 'tokenIssuer'],
];

let postgres: Postgres;
let client: Client;

beforeAll(async () => {
  postgres = await Postgres.start();
  const { default: pg } = await import('pg');
  const { host, port, database, user } = postgres.freshConnection();
  client = new pg.Client({ host, port, database, user });
  await client.connect();
  const password = process.env['PGPASSWORD']!;
  await client.query(`create role poor login password '${password}'`);
}, 300_000);

afterAll(async () => {
  await client.end();
  await postgres[Symbol.asyncDispose]();
});

function siteWith(connection: object = {}, ports = PORTS) {
  const { host, port, database, user, tls } = postgres.freshConnection();
  return {
    postgres: { host, port, database, user, tls, ...connection },
    ...Object.fromEntries(ports.map((each) => [each, 'postgres'])),
  };
}

async function schemas(): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select nspname as name from pg_namespace where nspname not like 'pg\\_%' order by 1`,
  );
  return rows.map(({ name }) => name);
}

const left = async () => (await schemas()).some((name) => name.startsWith('tribo_verify_'));

describe('tribo verify of a site on PostgreSQL', () => {
  it(
    'runs the contract of each port in schemas of its own, and leaves none',
    async () => {
      const before = await schemas();
      const { code, ports } = await verifySite(siteWith());
      expect(ports.filter(({ ok }) => !ok)).toEqual([]);
      expect(ports.map(({ port }) => port).sort()).toEqual(PORTS.toSorted());
      expect(ports.every(({ passed, notRun }) => passed > 0 && notRun === 0)).toBe(true);
      expect(code).toBe(0);
      expect(await schemas()).toEqual(before);
    },
    TIMEOUT_MS,
  );

  it.each([
    [
      'role may not make schemas',
      { user: 'poor' },
      /permission_denied[^]*the role needs: GRANT CREATE ON DATABASE postgres TO poor/,
    ],
    ['database is not there', { database: 'nobodys' }, /failed_precondition: .*nobodys[^]*-> deploy what it names/],
    ['server is not there', { port: 1 }, /unavailable: [^]*-> see that the service runs and can be reached/],
  ])(
    'fails where the %s, and says what to do',
    async (_where, connection, says) => {
      const { code, stdout } = await startVerify(siteWith(connection, ['ruleStore'])).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );

  it(
    'drops what runs have left, and no schema of another that has their mark in its name',
    async () => {
      const run = '20200101t000000z0a1b2c';
      const others = [`akron_tribo_verify_${run}_1`, `tribo_verify_${run}_1"; drop schema akron; --`, 'akron'];
      for (const name of [...others, `tribo_verify_${run}_1`])
        await client.query(`create schema ${client.escapeIdentifier(name)}`);
      expect(await startVerify(siteWith({}, ['ruleStore'])).ended).toMatchObject({ code: 0 });
      expect((await schemas()).filter((name) => name.includes(run) || name === 'akron')).toEqual(others.toSorted());
      for (const name of others) await client.query(`drop schema ${client.escapeIdentifier(name)}`);
    },
    TIMEOUT_MS,
  );

  it(
    'drops its schemas when it is interrupted',
    async () => {
      const interrupted = startVerify(siteWith({}, ['alarmJournal']));
      await until(left, 'it has made a schema', 60_000);
      process.kill(interrupted.pid, 'SIGINT');
      expect((await interrupted.ended).code).toBe(130);
      expect(await left()).toBe(false);
    },
    TIMEOUT_MS,
  );
});
