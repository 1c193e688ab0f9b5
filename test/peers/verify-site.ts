import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newRun, type Verification } from '#core/contracts/verification.ts';
import { verifyPort, type PortVerdict } from '#services/platform/verify/verify-port.ts';
import { spawnCli } from '../support/platform-process.ts';

/** What `tribo verify --json` says of a site. */
export interface SiteVerdict {
  readonly run: string;
  readonly ok: boolean;
  readonly ports: readonly PortVerdict[];
}

export interface VerifyEnd {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs; `ended` resolves with its process. */
export interface RunningVerify {
  readonly pid: number;
  readonly ended: Promise<VerifyEnd>;
}

/** Starts `tribo verify --site` with a ports file of this content, as a platform engineer would after a deployment. */
export function startVerify(
  ports: object,
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): RunningVerify {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-site-'));
  const site = join(folder, 'ports.json');
  writeFileSync(site, JSON.stringify(ports));
  const command = spawnCli(['verify', '--site', site, ...flags], { TRIBO_LOG_LEVEL: 'silent', ...env });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    command[stream]?.setEncoding('utf8').on('data', (text: string) => (said[stream] += text));
  const kill = (): void => void command.kill('SIGKILL');
  process.on('exit', kill);
  const ended = once(command, 'close').then(([code]) => {
    process.off('exit', kill);
    rmSync(folder, { recursive: true });
    return { code: code as number | null, ...said };
  });
  return { pid: command.pid!, ended };
}

/** Runs it to its end. */
export async function verifySite(
  ports: object,
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<SiteVerdict & VerifyEnd> {
  const end = await startVerify(ports, ['--json', ...flags], env).ended;
  if (end.stdout === '') throw new Error(`tribo verify said nothing: ${end.stderr}`);
  return { ...end, ...(JSON.parse(end.stdout) as SiteVerdict) };
}

/** Verifies in this process, after a run of two days ago that ended in its first case without removing anything. */
export async function verifyAfterKill(open: (run: string) => Promise<Verification>): Promise<PortVerdict> {
  const killed = await open(newRun(Date.now() - 2 * 86_400_000));
  await killed.contracts[0]!.cases[0]!.run();
  await killed.close();
  return verifyNow(open);
}

/** Verifies in this process. */
export async function verifyNow(open: (run: string) => Promise<Verification>): Promise<PortVerdict> {
  const run = newRun(Date.now());
  const port = { port: 'verified', adapter: 'verified', open: () => open(run) };
  return verifyPort(port, run, { signal: new AbortController().signal, onCase: () => undefined });
}
