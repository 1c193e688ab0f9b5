import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { newRun } from '#core/contracts/verification.ts';
import { cleanPort, type CleanedPort } from '../verify/clean-port.ts';
import { planPort, type PortPlan } from '../verify/plan-port.ts';
import { verifyPort, type PortToVerify, type PortVerdict } from '../verify/verify-port.ts';
import { numberUpTo } from './arguments.ts';
import type { Action, CommandContext } from './main.ts';
import { CommandError, counted, EXIT_CODES, type Output } from './output.ts';
import { progressBar, untilInterrupted } from './progress.ts';

interface VerifyFlags {
  readonly site?: string;
  readonly port?: string;
  readonly dryRun?: true;
  readonly clean?: true;
  readonly notify?: true;
  readonly provision?: true;
  readonly within: number;
}

/** What `--json` prints. */
interface Verified {
  readonly run: string;
  readonly ok: boolean;
  readonly ports: readonly PortVerdict[];
}

const DAY_MINUTES = 1_440;
/** What is still under way once all is told, such as a case that hangs, holds the command up no longer. */
const ENDS_WITHIN_MS = 1_000;

/** `tribo verify`: the contracts of the ports, run against what a site has deployed. */
export function addVerifyCommand(program: Command, action: Action): void {
  program
    .command('verify')
    .description(
      "run the ports' contracts against what a site has deployed, beside its data, and remove what they made; exits with 70 unless all pass (docs/verify.md)",
    )
    .option('--site <file>', "the site's ports file (default: TRIBO_PORTS_FILE)")
    .option('--port <ports>', 'only these, with commas between them')
    .option('--dry-run', 'tell what would be run, what it makes there and what it must be allowed to do')
    .option('--clean', 'run nothing: remove what earlier runs left, and runs that go on elsewhere have made')
    .option('--notify', 'send one test message by each notifier of the site: people receive it')
    .option('--provision', 'make streams of its own as well, as somebody who may, and run their whole contract')
    .option('--within <minutes>', 'give up after so long', numberUpTo(DAY_MINUTES), 60)
    .action(({ site, ...flags }: VerifyFlags, command: Command) =>
      // The setting `site` is the name of one: here it is the file that says which services it has.
      action(verify)({ ...flags, ...(site !== undefined && { portsFile: site }) }, command),
    );
}

async function verify(
  { configuration, out }: CommandContext,
  flags: Omit<VerifyFlags, 'site'> & { readonly portsFile?: string },
  _command: Command,
): Promise<void> {
  if (flags.portsFile !== undefined && !existsSync(flags.portsFile))
    throw new CommandError('not-found', `there is no file ${flags.portsFile}`, 'docs/providers.md says what it holds');
  const run = newRun(Date.now());
  const { openSite } = await import('../verify/composition.ts');
  await using site = openSite(configuration(), {
    ...{ run, notify: flags.notify === true, provision: flags.provision === true },
  });
  const ports = portsAsked(site.ports, flags.port);
  if (flags.dryRun) out.result(await each(ports, planPort), (plans) => plans.map(planText).join('\n'));
  else if (flags.clean) {
    const cleaned = await each(ports, cleanPort);
    out.result(cleaned, () => cleaned.map(cleanedText).join('\n'));
    if (cleaned.some(({ problem }) => problem !== undefined)) process.exitCode = EXIT_CODES.failed;
  } else await runAll(ports, run, flags.within, out);
}

async function runAll(ports: readonly PortToVerify[], run: string, minutes: number, out: Output): Promise<void> {
  const interrupted = untilInterrupted();
  const signal = AbortSignal.any([interrupted, AbortSignal.timeout(minutes * 60_000)]);
  interrupted.addEventListener('abort', () => {
    process.stderr.write('Removing what was made; once more ends at once and leaves it.\n');
  });
  const verdicts: PortVerdict[] = [];
  for (const port of ports) {
    const bar = progressBar(out);
    const verdict = await verifyPort(port, run, {
      signal,
      onCase: (fraction, name) => bar.at(fraction, `${port.port}: ${name}`),
    });
    bar.stop();
    verdicts.push(verdict);
    if (!out.json) process.stdout.write(`${verdictText(verdict)}\n`);
  }
  const verified: Verified = {
    run,
    ok: verdicts.every(({ ok }) => ok) && verdicts.some(({ passed }) => passed > 0),
    ports: verdicts,
  };
  const isTold = verdicts.length > 1 || verdicts.some(({ asksFor }) => asksFor !== undefined);
  if (out.json || isTold) out.result(verified, summaryText);
  if (interrupted.aborted) process.exitCode = EXIT_CODES.interrupted;
  else if (!verified.ok) process.exitCode = EXIT_CODES.failed;
  setTimeout(() => process.exit(), ENDS_WITHIN_MS).unref();
}

async function each<Result>(
  ports: readonly PortToVerify[],
  work: (port: PortToVerify) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const port of ports) results.push(await work(port));
  return results;
}

/** @throws CommandError where there is none, or none of that name. */
function portsAsked(ports: readonly PortToVerify[], asked: string | undefined): readonly PortToVerify[] {
  if (ports.length === 0)
    throw new CommandError(
      'configuration',
      'this site has nothing deployed elsewhere: all its ports are embedded',
      'name its ports file by --site, or TRIBO_PORTS_FILE: docs/providers.md',
    );
  const names = asked?.split(',');
  const known = new Set(ports.map(({ port }) => port));
  const unknown = names?.filter((name) => !known.has(name)) ?? [];
  if (unknown.length === 0) return names ? ports.filter(({ port }) => names.includes(port)) : ports;
  throw new CommandError(
    'usage',
    `--port: the site has no ${unknown.join(', ')} from elsewhere`,
    `it has ${[...known].join(', ')}`,
  );
}

function planText({ port, adapter, cases, leftOut, makes, needs, problem }: PortPlan): string {
  if (problem !== undefined) return `${port}, ${adapter}: ${problem}`;
  return [
    `${port}, ${adapter}: ${counted(cases, 'case')}`,
    ...leftOutLines(leftOut),
    `     makes, and removes: ${makes}`,
    `     must be allowed: ${needs}`,
  ].join('\n');
}

function cleanedText({ port, removed, problem }: CleanedPort): string {
  return `${port}: ${problem ?? `${counted(removed, 'thing')} removed`}`;
}

function verdictText(verdict: PortVerdict): string {
  const { port, adapter, passed, failed, leftOut, notRun, problems, removedOfEarlier, seconds } = verdict;
  const counts = [
    `${passed} passed`,
    ...(failed.length > 0 ? [`${failed.length} failed`] : []),
    ...(notRun > 0 ? [`${notRun} not run`] : []),
    ...(leftOut.length > 0 ? [`${leftOut.length} left out`] : []),
  ];
  return [
    `${markOf(verdict)} ${port}, ${adapter}: ${counts.join(', ')}, ${seconds} s`,
    ...leftOutLines(leftOut),
    ...failed.flatMap(({ contract, case: name, problem, remedy }) => [
      `     ${contract}: ${name}`,
      ...problem.split('\n').map((line) => `       ${line}`),
      `       -> ${remedy}`,
    ]),
    ...problems.map((problem) => `     ${problem}`),
    ...(removedOfEarlier > 0 ? [`     removed ${counted(removedOfEarlier, 'thing')} that earlier runs had left`] : []),
  ].join('\n');
}

function markOf({ ok, asksFor }: PortVerdict): string {
  if (!ok) return 'FAIL';
  return asksFor === undefined ? 'ok  ' : '--  ';
}

function leftOutLines(leftOut: PortVerdict['leftOut']): readonly string[] {
  return leftOut.map(({ case: name, reason }) => `     left out: ${name} (${reason})`);
}

function summaryText({ run, ok, ports }: Verified): string {
  const failed = ports.filter((port) => !port.ok).map(({ port }) => port);
  const unasked = ports.flatMap(({ adapter, asksFor }) => (asksFor === undefined ? [] : [`${adapter} (${asksFor})`]));
  const also = unasked.length > 0 ? ` Not looked at: ${unasked.join(', ')}.` : '';
  if (failed.length > 0)
    return `${failed.length} of ${counted(ports.length, 'port')} failed: ${failed.join(', ')}. Run ${run}.${also}`;
  if (!ok) return `Nothing was looked at.${also}`;
  return `${ports.length - unasked.length} of ${counted(ports.length, 'port')} passed; run ${run} left nothing.${also}`;
}
