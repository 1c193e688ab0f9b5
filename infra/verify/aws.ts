/**
 * Applies the stacks of a dev site at AWS to moto with Terraform and the provider that the bindings are of, plans them again, changes a value of the
 * environment, reads the adapters' settings from their outputs and runs contracts of adapters by these, and destroys all. What is not applied, the
 * other environments and what none of them switches on, the same provider validates.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FAMILIES, PROVIDERS } from '../../adapters/providers.ts';
import { demandOf } from '../../core/decision/demand.ts';
import { environmentSchema, type Environment } from '../../core/decision/environment.ts';
import { loadEnvironment } from '../../services/shared/environments/environment-files.ts';
import { loadPortsFile } from '../../services/shared/config/ports-file.ts';
import { verifySite } from '../../test/peers/verify-site.ts';
import { STACK_NAMES } from '../synthesize.ts';
import { destroyAll } from './destroy.ts';
import { writeOthers } from './other-stacks.ts';
import { DRIFT, NOT_APPLIED, VERIFIED } from './exceptions.ts';
import { answeredAgain, startMoto } from './moto.ts';
import { changesOf, unexplained } from './plan.ts';
import { startProvider } from './provider.ts';
import { copyStates, leaveOut, stackFolder, stackText, writeStacks } from './site.ts';
import { Steps } from './steps.ts';
import { providerMirror, Terraform, terraformVersion } from './terraform.ts';

const ENVIRONMENTS = join(import.meta.dirname, '../../environments');
/** As `npm run functions` writes it. */
const BUNDLE = join(import.meta.dirname, '../../services/functions/dist/sensor-data-processor.zip');
const APPLIED = 'akron.dev';
const MORE_USD = 1;

type StackName = (typeof STACK_NAMES)[number];
type Stacks = Readonly<Record<StackName, Terraform>>;

interface Site {
  readonly stacks: Stacks;
  /** Where its stacks are written. */
  readonly out: string;
  readonly endpoint: string;
  readonly env: NodeJS.ProcessEnv;
}

const steps = new Steps();
const folder = mkdtempSync(join(tmpdir(), 'tribo-verify-aws-'));
// Terraform writes its state beside the stacks, whatever bucket is named here, and nothing of this machine's own configuration of Terraform and AWS counts.
for (const name of Object.keys(process.env))
  if (/^(TF_|AWS_|TRIBO_STATE_BUCKET$)/.test(name)) Reflect.deleteProperty(process.env, name);
try {
  await verify();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = steps.end() ? 0 : 1;

async function verify(): Promise<void> {
  const environment = loadEnvironment(join(ENVIRONMENTS, `${APPLIED}.yaml`)).environment;
  const out = join(folder, 'out');
  writeStacks(out, environment, STACK_NAMES);
  const folderOf = (stack: StackName): string => stackFolder(out, environment, stack);
  const settings = terraformSettings(environment);
  const found = await steps.run('Terraform and the provider of AWS', async () => {
    const version = await terraformVersion(process.env);
    const mirror = providerMirror(process.env);
    await new Terraform(folderOf('foundation'), { ...process.env, ...settings }).init(mirror);
    return `${version}, the provider from ${mirror === undefined ? 'its registry' : 'a mirror'}`;
  });
  if (!found) return;
  const { endpoint, server: moto } = await startMoto();
  await using _moto = moto;
  const attached = await startProvider(folderOf('foundation'), {
    AWS_ENDPOINT_URL: endpoint,
    AWS_EC2_METADATA_DISABLED: 'true',
  });
  await using _provider = attached.server;
  const env = { ...process.env, ...settings, ...attached.found };
  const stacks = Object.fromEntries(
    STACK_NAMES.map((stack) => [stack, new Terraform(folderOf(stack), env)]),
  ) as unknown as Stacks;
  const valid = await steps.run(`${STACK_NAMES.join(', ')} are valid`, async () => {
    await Promise.all(STACK_NAMES.map((stack) => initialiseAndValidate(stacks[stack])));
    return undefined;
  });
  const others = (): Promise<void> => validateOthers(env);
  if (valid) await applyAll(environment, { stacks, out, endpoint, env }, others);
  else await others();
}

/** Each stack of the environments and variations that are not applied. */
async function validateOthers(env: NodeJS.ProcessEnv): Promise<void> {
  await steps.run('the stacks of all other environments and variations at AWS are valid', async () => {
    const stacks = writeOthers(join(folder, 'others'), APPLIED);
    const wrong: string[] = [];
    // One after another: a command keeps a core, and another is the application's.
    for (const { name, folder: at } of stacks)
      await initialiseAndValidate(new Terraform(at, env)).catch((error: unknown) => {
        wrong.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      });
    if (wrong.length > 0) throw new Error(wrong.join('\n'));
    const parts = stacks.flatMap(({ name, without }) =>
      without.length > 0 ? [`${name} without ${without.join(', ')}`] : [],
    );
    return [`${stacks.length} stacks`, ...parts].join(', ');
  });
}

async function initialiseAndValidate(stack: Terraform): Promise<void> {
  await stack.init();
  await stack.validate();
}

/**
 * What keeps the cores busy and nothing waits for is begun with the application of the next stack, most of which is waiting: beside its plan it would
 * hold that up. `others` is such from the first.
 */
async function applyAll(environment: Environment, site: Site, others: () => Promise<void>): Promise<void> {
  const { stacks, out, endpoint } = site;
  const applied: StackName[] = [];
  const beside: Promise<void>[] = [];
  let held: (() => Promise<void>)[] = [others];
  const begin = (): void => {
    beside.push(...held.map((each) => each()));
    held = [];
  };
  for (const stack of STACK_NAMES) {
    const terraform = stacks[stack];
    if (!(await planWhole(stack, terraform, stackFolder(out, environment, stack)))) break;
    // The first one is applied in less time than they take.
    if (applied.length > 0) begin();
    // Held from here on: what fails half-way is destroyed too.
    applied.unshift(stack);
    if (!(await apply(stack, terraform))) break;
    held.push(() => planAgain(stack, terraform));
    if (stack === 'platform')
      held.push(
        () => changeValue(environment, site),
        () => readPorts(terraform, endpoint),
      );
  }
  begin();
  await Promise.all(beside);
  await destroyAll(
    steps,
    applied.map((name) => ({ name, terraform: stacks[name] })),
  );
  await steps.run('moto did each call once', async () => {
    const again = await answeredAgain(endpoint);
    return again.length === 0 ? undefined : `what it answered was lost, and given again: ${again.join(', ')}`;
  });
}

/** True where it may be applied: it makes what is not there yet, and all that is left out of the application. What is planned last is what is applied. */
function planWhole(stack: StackName, terraform: Terraform, at: string): Promise<boolean> {
  const without = Object.keys(NOT_APPLIED[stack]);
  return steps.run(`${stack} is planned whole`, async () => {
    await terraform.plan();
    const changes = changesOf(await terraform.planned());
    const others = changes.filter(({ actions }) => actions.join() !== 'create');
    if (others.length > 0)
      throw new Error(`it would not only create: ${others.map((each) => each.address).join(', ')}`);
    const missing = without.filter((type) => !changes.some((change) => change.type === type));
    if (missing.length > 0) throw new Error(`nothing is planned of ${missing.join(', ')}`);
    if (without.length > 0) {
      leaveOut(at, without);
      await terraform.plan();
    }
    return `${changes.length} resources`;
  });
}

/** True once it is there: what stands on it can be applied. */
function apply(stack: StackName, terraform: Terraform): Promise<boolean> {
  return steps.run(`${stack} is applied`, async () => {
    await terraform.apply();
    const held = (await terraform.held()).filter((address) => !address.startsWith('data.'));
    const reasons = Object.entries(NOT_APPLIED[stack]).map(([type, reason]) => `, without ${type}: ${reason}`);
    return `${held.length} resources${reasons.join('')}`;
  });
}

async function planAgain(stack: StackName, terraform: Terraform): Promise<void> {
  const drift = DRIFT[stack];
  await steps.run(`${stack}, planned again, changes nothing`, async () => {
    const used = new Set<string>();
    await terraform.plan();
    const changed = unexplained(changesOf(await terraform.planned()), drift, used);
    const unused = Object.keys(drift).filter((exception) => !used.has(exception));
    if (changed.length > 0) throw new Error(changed.join('\n'));
    if (unused.length > 0) throw new Error(`take these exceptions away, which nothing needs: ${unused.join(', ')}`);
    return used.size === 0 ? undefined : `but for ${[...used].join(', ')}, as moto answers otherwise than AWS`;
  });
}

/**
 * One value of the environment is one change of the plan: the other stacks are written as they were, and so have been planned again already. It is planned
 * beside that, in a folder of its own with what Terraform keeps of all three.
 */
async function changeValue(environment: Environment, { out, env }: Site): Promise<void> {
  await steps.run('a budget of a dollar more changes the budget alone', async () => {
    const { budget } = environment;
    const other = environmentSchema.parse({
      ...environment,
      budget: { ...budget, usdPerMonth: budget.usdPerMonth + MORE_USD },
    });
    const [same, changed] = [join(folder, 'same'), join(folder, 'changed/out')];
    writeStacks(same, environment, STACK_NAMES);
    writeStacks(changed, other, STACK_NAMES);
    const written = STACK_NAMES.filter(
      (stack) => stackText(stackFolder(same, environment, stack)) !== stackText(stackFolder(changed, other, stack)),
    );
    if (written.join() !== 'platform') throw new Error(`it is written into ${written.join(', ') || 'no stack'}`);
    copyStates(out, changed);
    const at = stackFolder(changed, other, 'platform');
    leaveOut(at, Object.keys(NOT_APPLIED.platform));
    const platform = new Terraform(at, env);
    await platform.init();
    await platform.plan();
    const changes = changesOf(await platform.planned()).filter(
      (change) => unexplained([change], DRIFT.platform, new Set()).length > 0,
    );
    const told = changes.map(({ address, attributes }) => `${address}: ${attributes.join(', ')}`);
    const [only] = changes;
    const isLimit = only?.type === 'aws_budgets_budget' && only.attributes.join() === 'limit_amount';
    if (changes.length !== 1 || !isLimit) throw new Error(`it changes ${told.join('; ') || 'nothing'}`);
    return `${told[0]}; foundation and data are written as before`;
  });
}

/** The output `ports` is the ports file of the site: read as the platform reads it, and lived by, where moto can. */
async function readPorts(platform: Terraform, endpoint: string): Promise<void> {
  let ports: Ports | undefined;
  await steps.run("the adapters' settings are the outputs", async () => {
    ports = (await platform.output('ports')) as Ports;
    const file = join(folder, 'ports.json');
    writeFileSync(file, JSON.stringify(ports));
    const chosen = loadPortsFile(file, { families: FAMILIES, providers: PROVIDERS });
    return `${chosen.length} ports`;
  });
  const given = ports;
  if (!given) return;
  await steps.run(`the contracts of ${VERIFIED.join(' and ')} hold at what was applied`, async () => {
    const site = {
      aws: { ...given.aws, endpoint },
      secretStore: { adapter: 'secrets-manager-secret-store', ...given.secretStore, recoveryDays: 0 },
    };
    const {
      ok,
      ports: verdicts,
      stdout,
    } = await verifySite(site, [], { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' });
    if (!ok || verdicts.length !== VERIFIED.length) throw new Error(stdout);
    return verdicts.map(({ port, passed }) => `${port} ${passed}`).join(', ');
  });
}

interface Ports {
  readonly aws: object;
  readonly secretStore: object;
}

/** What Terraform is told beside the stacks. */
function terraformSettings(environment: Environment): Readonly<Record<string, string>> {
  const digest = `sha256:${'0'.repeat(64)}`;
  const images = demandOf(environment).services.map(({ service }) => [service, digest] as const);
  return {
    CHECKPOINT_DISABLE: '1',
    TF_IN_AUTOMATION: '1',
    TF_VAR_github_repository: 'example/tribo',
    TF_VAR_sensor_data_processor_bundle: BUNDLE,
    TF_VAR_image_digests: JSON.stringify(Object.fromEntries(images)),
  };
}
