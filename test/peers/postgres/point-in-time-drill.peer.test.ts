import { execFile } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { freePort } from '../peer-process.ts';

/** The drill of docs/dr.md: a base backup, what was archived since, and a time to which the database goes back. */
const run = promisify(execFile);
const VERSIONS = '/usr/lib/postgresql';
const bin = (name: string) =>
  join(VERSIONS, readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a))[0]!, 'bin', name);

let folder: string;
let ports: { readonly before: number; readonly after: number };
let as: readonly string[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-drill-'));
  ports = { before: await freePort(), after: await freePort() };
  mkdirSync(join(folder, 'archive'));
  const id = async (option: string) => Number((await run('id', [option, 'postgres'])).stdout);
  const [uid, gid] = [await id('-u'), await id('-g')];
  as = process.getuid?.() === 0 ? ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'] : [];
  if (as.length > 0) for (const path of [folder, join(folder, 'archive')]) chownSync(path, uid, gid);
});

afterAll(async () => {
  for (const data of ['before', 'after'])
    await server('pg_ctl', '-D', join(folder, data), '-m', 'immediate', 'stop').catch(() => undefined);
  rmSync(folder, { recursive: true, force: true });
});

it('goes back to the second before a mistake, with all that was committed until then', async () => {
  const archive = join(folder, 'archive');
  await server('initdb', '--pgdata', join(folder, 'before'), '--username', 'tribo', '--auth', 'trust', '--no-sync');
  await start('before', ports.before, ['wal_level=replica', 'archive_mode=on', `archive_command=cp %p ${archive}/%f`]);
  await sql(
    ports.before,
    'create table readings (id int primary key); insert into readings select generate_series(1, 1000)',
  );
  await server(
    'pg_basebackup',
    '-D',
    join(folder, 'after'),
    '-h',
    '127.0.0.1',
    '-p',
    String(ports.before),
    '-U',
    'tribo',
    '-X',
    'none',
  );
  await sql(ports.before, 'insert into readings select generate_series(1001, 5000)');
  const time = await sql(ports.before, 'select clock_timestamp()');
  await sql(ports.before, 'delete from readings');
  await sql(ports.before, 'select pg_switch_wal()');
  await until(
    async () =>
      Number(
        await sql(
          ports.before,
          "select count(*) from pg_ls_dir('pg_wal/archive_status') as name where name like '%.ready'",
        ),
      ) === 0,
    'all is archived',
  );

  const began = performance.now();
  await server('touch', join(folder, 'after/recovery.signal'));
  await start('after', ports.after, [
    `restore_command=cp ${archive}/%f %p`,
    `recovery_target_time=${time}`,
    'recovery_target_action=promote',
    'archive_mode=off',
  ]);
  await until(async () => (await sql(ports.after, 'select pg_is_in_recovery()')) === 'f', 'it takes writes again');
  const seconds = (performance.now() - began) / 1000;

  expect(await sql(ports.after, 'select count(*), max(id) from readings')).toBe('5000|5000');
  expect(await sql(ports.before, 'select count(*) from readings')).toBe('0');
  await sql(ports.after, 'insert into readings values (5001)');
  console.log(`5,000 rows were back after ${seconds.toFixed(1)} s; lost: none of before the mistake`);
});

async function start(name: string, port: number, settings: readonly string[]): Promise<void> {
  const options = [`-p ${port}`, `-k ${folder}`, '-h 127.0.0.1', ...settings.map((each) => `-c '${each}'`)].join(' ');
  await server('pg_ctl', '-D', join(folder, name), '-l', join(folder, `${name}.log`), '-o', options, '-w', 'start');
}

async function sql(port: number, statement: string): Promise<string> {
  const { stdout } = await run('psql', [
    '-h',
    '127.0.0.1',
    '-p',
    String(port),
    '-U',
    'tribo',
    '-d',
    'postgres',
    '-AtXqc',
    statement,
  ]);
  return stdout.trim();
}

async function server(name: string, ...given: readonly string[]): Promise<void> {
  const program = name === 'touch' ? name : bin(name);
  const [command = '', ...rest] = [...as, program, ...given];
  await run(command, rest);
}
