import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openReopenable } from '#core/contracts/reopenable.ts';
import type { TestCertificate } from '#test/support/self-signed-certificate.ts';
import { freePort, PeerProcess } from './peer-process.ts';

const PASSWORD = 'of-a-test';
/** Debian's place of the server's programs, which are not on the PATH. */
const VERSIONS = '/usr/lib/postgresql';

/** What the server is run with, in the words of its command line: `fsync=off`. */
export interface PostgresOptions {
  readonly settings?: readonly string[];
  /** It speaks TLS with this certificate, and with whoever speaks in clear not at all. */
  readonly certificate?: TestCertificate;
}

/**
 * A real PostgreSQL from Debian's packages, in a folder of its own and on a loopback port. Text sorts as in American English unless a column says
 * otherwise, so that one that forgot to is seen; the disk is not waited for, unless a setting says so.
 */
export class Postgres implements AsyncDisposable {
  readonly port: number;
  readonly #folder: string;
  readonly #settings: readonly string[];
  #process: PeerProcess;

  static async start({ settings: given = ['fsync=off'], certificate }: PostgresOptions = {}): Promise<Postgres> {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-postgres-'));
    const settings = certificate ? [...given, 'ssl=on'] : given;
    try {
      await makeCluster(folder);
      if (certificate) await secure(join(folder, 'data'), certificate);
      const port = await freePort();
      // As an operator would give it; no adapter's settings hold it.
      process.env['PGPASSWORD'] = PASSWORD;
      return new Postgres(folder, port, settings, await serve(folder, port, settings));
    } catch (error) {
      rmSync(folder, { recursive: true });
      throw error;
    }
  }

  private constructor(folder: string, port: number, settings: readonly string[], server: PeerProcess) {
    this.#folder = folder;
    this.port = port;
    this.#settings = settings;
    this.#process = server;
  }

  /** Settings of a connection, in a schema that nobody else uses. */
  freshConnection() {
    const schema = `s_${randomUUID().replaceAll('-', '')}`;
    return { host: '127.0.0.1', port: this.port, database: 'postgres', user: 'tribo', schema, tls: 'off' } as const;
  }

  /** A store in a schema of its own, opened once; `reopen` opens another client of it. Disposing closes them all. */
  async openInSchema<Store extends { close(): Promise<void> }>(
    open: (connection: ReturnType<Postgres['freshConnection']>) => Promise<Store>,
  ) {
    const connection = this.freshConnection();
    return openReopenable(() => open(connection));
  }

  /** Kills it as a power cut would, and starts it again on the same port. */
  async restart(): Promise<void> {
    await this.kill();
    await this.startAgain();
  }

  async kill(): Promise<void> {
    process.kill(this.#process.pid, 'SIGQUIT');
    await this.#process[Symbol.asyncDispose]();
  }

  /** On the same port, once it was killed. */
  async startAgain(): Promise<void> {
    this.#process = await serve(this.#folder, this.port, this.#settings);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
    rmSync(this.#folder, { recursive: true });
  }
}

async function makeCluster(folder: string): Promise<void> {
  const passwordFile = join(folder, 'password');
  writeFileSync(passwordFile, PASSWORD, { mode: 0o600 });
  const { uid, gid } = await servant();
  for (const path of [folder, passwordFile]) if (process.getuid?.() === 0) chownSync(path, uid, gid);
  await run([
    ...(await unprivileged()),
    ...[program('initdb'), '--pgdata', join(folder, 'data'), '--username', 'tribo', '--pwfile', passwordFile],
    ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C.UTF-8', '--no-sync'],
    ...['--locale-provider', 'icu', '--icu-locale', 'en-US'],
  ]);
}

/** Under the names by which the server looks for them; it takes a key of its own user alone. */
async function secure(dataDir: string, { cert, key }: TestCertificate): Promise<void> {
  const { uid, gid } = await servant();
  for (const [name, pem] of Object.entries({ 'server.crt': cert, 'server.key': key })) {
    const path = join(dataDir, name);
    writeFileSync(path, pem, { mode: 0o600 });
    if (process.getuid?.() === 0) chownSync(path, uid, gid);
  }
  writeFileSync(join(dataDir, 'pg_hba.conf'), 'hostssl all all 127.0.0.1/32 scram-sha-256\n');
}

async function serve(folder: string, port: number, settings: readonly string[]): Promise<PeerProcess> {
  const given = ['-D', join(folder, 'data'), '-p', String(port), '-k', folder, '-h', '127.0.0.1'];
  return PeerProcess.start({
    name: 'PostgreSQL',
    // The programs that go before replace themselves by the server, so that its process is the one that is known.
    command: [
      'env',
      ...(await unprivileged()),
      program('postgres'),
      ...given,
      ...settings.flatMap((each) => ['-c', each]),
    ],
    isReady: async () => {
      await run([program('pg_isready'), '-q', '-h', '127.0.0.1', '-p', String(port)]);
      return true;
    },
  });
}

function program(name: string): string {
  const newest = existsSync(VERSIONS) ? readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a))[0] : undefined;
  if (newest === undefined) throw new Error("PostgreSQL is not installed: it is Debian's package postgresql");
  return join(VERSIONS, newest, 'bin', name);
}

/** The server refuses to run as root: root becomes the user that Debian's package made for it. */
async function unprivileged(): Promise<readonly string[]> {
  if (process.getuid?.() !== 0) return [];
  const { uid, gid } = await servant();
  return ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
}

async function servant(): Promise<{ readonly uid: number; readonly gid: number }> {
  const id = async (option: string) => Number((await run(['id', option, 'postgres'])).stdout);
  return { uid: await id('-u'), gid: await id('-g') };
}

function run([command, ...given]: readonly string[]) {
  return promisify(execFile)(command!, given);
}
