import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { installed } from '../../test/peers/cache.ts';
import type { Finding, Scan, ScannedStack } from './findings.ts';

const run = promisify(execFile);
const REQUIREMENTS = join(import.meta.dirname, 'requirements.txt');
const INSTALL_WITHIN_MS = 600_000;
/** Of all stacks at once: on a machine that is busy otherwise it took more than five minutes. */
const SCAN_WITHIN_MS = 600_000;
/** Each keeps the graph of its stacks in memory. */
const AT_ONCE_AT_MOST = 4;
const LONGEST_LINE = 300;
const LARGEST_REPORT_BYTES = 256 * 1024 * 1024;

/** What is used of checkov's report. */
interface Report {
  readonly results?: {
    readonly passed_checks: readonly Check[];
    readonly failed_checks: readonly Check[];
    readonly parsing_errors: readonly string[];
  };
}

interface Check {
  readonly check_id: string;
  readonly check_name: string;
  /** `aws_s3_bucket.<name>` or `resource.<name>`, as the kind of check has it. */
  readonly resource: string;
  /** `/akron.dev/aws/data/cdk.tf.json`. */
  readonly file_path: string;
}

/** The folder that checkov is installed in, once for each wording of its requirements. */
function checkovFolder(): Promise<string> {
  return installed('checkov', readFileSync(REQUIREMENTS, 'utf8'), async (into) => {
    const within = { timeout: INSTALL_WITHIN_MS };
    await run('python3', ['-m', 'venv', join(into, 'venv')], within);
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', REQUIREMENTS];
    await run(join(into, 'venv/bin/python'), pip, within);
  });
}

/** Scans stacks in an empty folder: a process a core, as checkov takes one, each with stacks of its own, which know nothing of each other's resources. */
export async function scan(stacks: readonly ScannedStack[], folder: string): Promise<Scan> {
  const checkov = join(await checkovFolder(), 'venv/bin/checkov');
  const scans = await Promise.all(
    inParts(stacks, Math.min(availableParallelism(), AT_ONCE_AT_MOST)).map((part, index) =>
      scanPart(checkov, part, join(folder, String(index))),
    ),
  );
  return {
    findings: scans.flatMap(({ findings }) => findings),
    asked: new Map(scans.flatMap(({ asked }) => [...asked])),
    unread: scans.flatMap(({ unread }) => unread),
  };
}

/** The largest first, each to the part that has least so far: all take about as long. */
function inParts(stacks: readonly ScannedStack[], count: number): readonly (readonly ScannedStack[])[] {
  const parts = Array.from({ length: count }, () => ({ stacks: [] as ScannedStack[], characters: 0 }));
  const sized = stacks.map((stack) => ({ stack, characters: JSON.stringify(stack.json).length }));
  for (const { stack, characters } of sized.toSorted((a, b) => b.characters - a.characters)) {
    const least = parts.reduce((best, part) => (part.characters < best.characters ? part : best));
    least.stacks.push(stack);
    least.characters += characters;
  }
  return parts.map((part) => part.stacks).filter((part) => part.length > 0);
}

async function scanPart(checkov: string, stacks: readonly ScannedStack[], folder: string): Promise<Scan> {
  for (const { name, json } of stacks) {
    // Of Terraform's own block it reads none, and with one of plain values it gives the whole file up.
    const { resource, data } = json;
    const file = join(folder, name, 'cdk.tf.json');
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, JSON.stringify({ resource, data }, undefined, 1));
  }
  const options = ['--framework', 'terraform_json', '--directory', '.', '--skip-download', '--compact', '--soft-fail'];
  const { stdout, stderr } = await run(join(checkov, '..', 'python'), [checkov, ...options, '--output', 'json'], {
    cwd: folder,
    // A dynamic block of JSON ends its reading of the file's graph, and with it the checks of how resources belong together.
    env: { ...process.env, CHECKOV_RENDER_DYNAMIC_MODULES: 'false', LOG_LEVEL: 'WARNING' },
    timeout: SCAN_WITHIN_MS,
    maxBuffer: LARGEST_REPORT_BYTES,
  });
  const { unread, findings, asked } = scanOf(JSON.parse(stdout) as Report | readonly Report[]);
  return { asked, findings: [...findings, ...crashesOf(stderr)], unread: [...unread, ...givenUp(stderr)] };
}

/** Checks that ended by an error of their own, which its log alone says: nobody knows what they would have found. */
export function crashesOf(log: string): readonly Finding[] {
  return [...log.matchAll(/Failed to run check (\S+) on (\S+):(\S+)$/gm)].map(([, check, path, resource]) =>
    findingOf({ check_id: check!, check_name: 'the check itself fails', resource: resource!, file_path: path! }),
  );
}

/** What it went on without, as it says in its log alone. */
function givenUp(log: string): readonly string[] {
  return log
    .split('\n')
    .filter((line) => line.includes('Failed to add block'))
    .map((line) => `${line.slice(0, LONGEST_LINE)} ...`);
}

function scanOf(report: Report | readonly Report[]): Scan {
  const results = [report].flat().flatMap((each) => each.results ?? []);
  const failed = results.flatMap(({ failed_checks }) => failed_checks);
  const asked = new Map<string, number>();
  for (const { file_path } of [...results.flatMap(({ passed_checks }) => passed_checks), ...failed])
    asked.set(stackOf(file_path), (asked.get(stackOf(file_path)) ?? 0) + 1);
  return { findings: failed.map(findingOf), asked, unread: results.flatMap(({ parsing_errors }) => parsing_errors) };
}

function findingOf({ check_id, check_name, resource, file_path }: Check): Finding {
  const block = resource.slice(resource.lastIndexOf('.') + 1);
  return { stack: stackOf(file_path), check: check_id, says: check_name, block };
}

function stackOf(path: string): string {
  return dirname(path).replace(/^\//, '');
}
