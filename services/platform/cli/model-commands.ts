import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { ModelDetail, ModelVersionView, ModelView } from '#services/api-gateway/schemas/models.ts';
import { allItems } from './all-items.ts';
import { readDescription, sendDescription } from './described-file.ts';
import { count } from './arguments.ts';
import type { Action } from './main.ts';
import { CommandError, instant, table } from './output.ts';

interface Scope {
  readonly site?: string;
  readonly machine?: string;
  readonly sensor?: string;
}

/** `tribo model ...`: which models judge, where they came from, and who promoted them. */
export function addModelCommands(program: Command, action: Action): void {
  const model = program.command('model').description('models: list, register, promote, roll back');

  model
    .command('list')
    .description('all models with their newest and their promoted version')
    .action(
      action(async ({ api, out }) => {
        out.result(await allItems<ModelView>(api(), '/v1/models'), (items) =>
          table(
            ['model', 'machine', 'sensor', 'newest', 'promoted'],
            items.map((each) => [
              each.name,
              each.machine === undefined ? '(tenant)' : `${each.site}/${each.machine}`,
              each.sensor ?? '',
              String(each.latestVersion),
              each.promotedVersion === undefined ? 'none' : String(each.promotedVersion),
            ]),
          ),
        );
      }),
    );

  scoped(model.command('versions <name>').description('the versions of a model, newest first')).action(
    action(async ({ api, out }, name: string, options: Scope) => {
      out.result(await allItems<ModelVersionView>(api(), path(name, '/versions', options)), (items) =>
        table(
          ['version', 'promoted', 'registered', 'by', 'trained on'],
          items.map((each) => [
            String(each.version),
            each.promoted ? 'yes' : '',
            instant(each.registeredMs),
            each.registeredBy ?? each.provenance.software,
            each.provenance.trainedOn,
          ]),
        ),
      );
    }),
  );

  scoped(
    model
      .command('register <name> <onnx> <description>')
      .description(
        'add a version: an ONNX file, and a YAML or JSON file with inputs, parameters and provenance; it is proven to run first',
      ),
  ).action(
    action(async ({ api, out }, name: string, onnx: string, description: string, options: Scope) => {
      const bytes = readArtifact(onnx);
      const client = api();
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const version = await sendDescription(readDescription(description), (described) =>
        client.request<ModelVersionView>('POST', path(name, '/versions', options), {
          ...(described as object),
          ...{ artifact: bytes.toString('base64'), sha256 },
        }),
      );
      out.result(
        version,
        () =>
          `${name} version ${version.version} is registered; it runs after: tribo model promote ${name} ${version.version}`,
      );
    }),
  );

  scoped(
    model
      .command('promote <name>')
      .argument('<version>', 'of those that "model versions" shows', count)
      .description('make a version the one that runs')
      .option('--reason <text>', 'why; kept with the decision', ''),
  ).action(
    action(async ({ api, out }, name: string, version: number, options: Scope & { reason: string }) => {
      const body = { version, reason: options.reason };
      out.result(await decide(api(), name, 'promote', options, body), promotedText);
    }),
  );

  scoped(
    model
      .command('rollback <name>')
      .description('go back to the version that was promoted before')
      .option('--reason <text>', 'why; kept with the decision', ''),
  ).action(
    action(async ({ api, out }, name: string, options: Scope & { reason: string }) => {
      out.result(await decide(api(), name, 'rollback', options, { reason: options.reason }), promotedText);
    }),
  );
}

function scoped(command: Command): Command {
  return command
    .option('--machine <machine>', 'of this machine (default: of the whole tenant)')
    .option('--site <site>', 'of the machine, where several sites have one of that name')
    .option('--sensor <sensor>', 'of this sensor of the machine');
}

function path(name: string, rest: string, { site, machine, sensor }: Scope): string {
  const query = new URLSearchParams({
    ...(site !== undefined && { site }),
    ...(machine !== undefined && { machine }),
    ...(sensor !== undefined && { sensor }),
  });
  return `/v1/models/${encodeURIComponent(name)}${rest}?${query.toString()}`;
}

/** On the version that is promoted now: whoever decides at the same time is told. */
async function decide(
  client: { request<Result>(method: 'GET' | 'POST', path: string, body?: unknown, headers?: object): Promise<Result> },
  name: string,
  decision: 'promote' | 'rollback',
  scope: Scope,
  body: unknown,
): Promise<ModelDetail> {
  const { promotedVersion = 0 } = await client.request<ModelDetail>('GET', path(name, '', scope));
  return client.request('POST', path(name, `/${decision}`, scope), body, { 'if-match': `"${promotedVersion}"` });
}

function promotedText({ name, promotedVersion }: ModelDetail): string {
  return `${name} runs version ${promotedVersion} now`;
}

function readArtifact(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CommandError('data', `${file}: ${(error as Error).message}`, 'it must be a readable ONNX file');
  }
}
