import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { shipped, synthesized } from '../testing/synthesized.ts';
import { withModels } from '../testing/variations.ts';
import { VertexAiModels } from '../testing/vertex-ai-models.ts';
import { readModelDeployment, type ModelDeployment } from './model-deployment.ts';
import { releaseModels, removeModels } from './model-release.ts';
import { VertexAiApi } from './vertex-ai-api.ts';

const DIGEST = 'a'.repeat(64);
const NEXT_DIGEST = 'b'.repeat(64);
const DEPLOYMENT: ModelDeployment = {
  endpoint: VertexAiModels.ENDPOINT,
  model: 'tribo-gent-prod-model-server',
  image: `europe-west1-docker.pkg.dev/tribo-gent/tribo-gent-prod/model-server@sha256:${DIGEST}`,
  machineType: 'e2-standard-2',
  ...{ leastReplicas: 1, mostReplicas: 4, busyPercent: 60 },
  key: 'projects/tribo-gent/locations/europe-west1/keyRings/tribo-gent-prod/cryptoKeys/data',
  labels: { deployment: 'tribo-gent-prod' },
};
const NEXT = { ...DEPLOYMENT, image: DEPLOYMENT.image.replace(DIGEST, NEXT_DIGEST) };
const MODEL = 'projects/tribo-gent/locations/europe-west1/models/tribo-gent-prod-model-server';

let vertex: VertexAiModels;
let said: string[];
beforeEach(async () => {
  vertex = await VertexAiModels.start();
  said = [];
});
afterEach(() => vertex[Symbol.asyncDispose]());

const api = (token = VertexAiModels.TOKEN) =>
  new VertexAiApi({ token, origin: vertex.wire.url, signal: AbortSignal.timeout(60_000), pollMs: 1 });
const say = (line: string) => void said.push(line);
const release = (deployment = DEPLOYMENT) => releaseModels(api(), deployment, say);
const askedFor = () => vertex.asked.map(([what]) => what);

describe('the first release', () => {
  it('makes a model of the image, encrypted and labelled, and leads all calls to it', async () => {
    await release();
    expect(vertex.asked).toEqual([
      [
        'POST models:upload',
        {
          modelId: 'tribo-gent-prod-model-server',
          model: {
            displayName: 'tribo-gent-prod-model-server',
            versionAliases: [`sha256-${DIGEST}`],
            containerSpec: {
              imageUri: DEPLOYMENT.image,
              ports: [{ containerPort: 8080 }],
              ...{ predictRoute: '/predict', healthRoute: '/health/ready' },
            },
            encryptionSpec: { kmsKeyName: DEPLOYMENT.key },
            labels: { deployment: 'tribo-gent-prod' },
          },
        },
      ],
      [
        'POST endpoints/319859442:deployModel',
        {
          deployedModel: {
            model: `${MODEL}@1`,
            displayName: 'tribo-gent-prod-model-server',
            dedicatedResources: {
              machineSpec: { machineType: 'e2-standard-2' },
              ...{ minReplicaCount: 1, maxReplicaCount: 4 },
              autoscalingMetricSpecs: [
                { metricName: 'aiplatform.googleapis.com/prediction/online/cpu/utilization', target: 60 },
              ],
            },
          },
          trafficSplit: { '0': 100 },
        },
      ],
    ]);
    expect(vertex.deployed).toHaveLength(1);
    expect(vertex.trafficSplit).toEqual({ [vertex.deployed[0]!.id]: 100 });
  });

  it('is done once: made again it changes nothing', async () => {
    await release();
    const asked = vertex.asked.length;
    await release();
    expect(vertex.asked).toHaveLength(asked);
    expect(said.at(-1)).toBe(`${VertexAiModels.ENDPOINT} answers with ${DEPLOYMENT.image}`);
  });
});

describe('a later release', () => {
  it('is another version of the model, which takes the calls before the one before it goes', async () => {
    await release();
    const [before] = vertex.deployed;
    await release(NEXT);
    expect(askedFor().slice(2)).toEqual([
      'POST models:upload',
      'POST endpoints/319859442:deployModel',
      'POST endpoints/319859442:undeployModel',
    ]);
    expect(vertex.asked[2]![1]).toMatchObject({ parentModel: MODEL });
    expect(vertex.asked[4]![1]).toEqual({ deployedModelId: before!.id });
    expect(vertex.deployed.map(({ modelVersionId }) => modelVersionId)).toEqual(['2']);
    expect(vertex.trafficSplit).toEqual({ [vertex.deployed[0]!.id]: 100 });
  });

  it('that goes back to an image takes the version that there is of it', async () => {
    await release();
    await release(NEXT);
    await release();
    expect(askedFor().filter((what) => what === 'POST models:upload')).toHaveLength(2);
    expect(vertex.deployed.map(({ modelVersionId }) => modelVersionId)).toEqual(['1']);
  });

  it.each<[what: string, changed: Partial<ModelDeployment>]>([
    ['of another machine', { machineType: 'e2-standard-4' }],
    ['of more replicas at the least', { leastReplicas: 2 }],
    ['of more replicas at the most', { mostReplicas: 8 }],
    ['of another load', { busyPercent: 80 }],
  ])('%s is deployed anew, of the version that is there', async (_what, changed) => {
    await release();
    await release({ ...DEPLOYMENT, ...changed });
    expect(askedFor().slice(2)).toEqual([
      'POST endpoints/319859442:deployModel',
      'POST endpoints/319859442:undeployModel',
    ]);
  });
});

describe('a release that was cut short', () => {
  it('as its model was there goes on with the deployment', async () => {
    vertex.failing.push('deploy');
    await expect(release()).rejects.toThrow(
      'POST projects/tribo-gent/locations/europe-west1/endpoints/319859442:deployModel failed: Model server never became ready.',
    );
    await release();
    expect(askedFor().filter((what) => what === 'POST models:upload')).toHaveLength(1);
    expect(vertex.deployed).toHaveLength(1);
  });

  it('before what ran earlier was gone takes it away', async () => {
    await release();
    vertex.failing.push('undeploy');
    await expect(release(NEXT)).rejects.toThrow('undeployModel failed');
    expect(vertex.deployed).toHaveLength(2);
    await release(NEXT);
    expect(vertex.deployed.map(({ modelVersionId }) => modelVersionId)).toEqual(['2']);
    expect(askedFor().filter((what) => what.endsWith(':deployModel'))).toHaveLength(2);
  });

  it('by a look that was not answered waits on', async () => {
    const ends = releaseModels(api(), DEPLOYMENT, say);
    vertex.wire.failNext({ status: 503, body: '' }, 'reset');
    await ends;
    expect(vertex.deployed).toHaveLength(1);
  });
});

describe('taken away', () => {
  it('goes what runs, the one with the calls last, and the model', async () => {
    await release();
    vertex.failing.push('undeploy');
    await expect(release(NEXT)).rejects.toThrow('undeployModel failed');
    await removeModels(api(), DEPLOYMENT, say);
    expect(vertex.deployed).toEqual([]);
    expect([...vertex.versions]).toEqual([]);
  });

  it('leaves alone an endpoint that nothing runs behind', async () => {
    await removeModels(api(), DEPLOYMENT, say);
    expect(vertex.asked).toEqual([]);
  });
});

describe('what is refused', () => {
  it('is told with what Google said of it', async () => {
    await expect(releaseModels(api('another'), DEPLOYMENT, say)).rejects.toThrow(
      `GET ${VertexAiModels.ENDPOINT}: UNAUTHENTICATED: Request had invalid authentication credentials.`,
    );
  });

  it('where there is no endpoint says what makes one', async () => {
    const elsewhere = { ...DEPLOYMENT, endpoint: DEPLOYMENT.endpoint.replace('319859442', '319859443') };
    await expect(release(elsewhere)).rejects.toThrow(/^there is no .*\/319859443: apply the stack platform first$/);
    expect(vertex.asked).toEqual([]);
  });
});

describe('what a stack tells', () => {
  it('is what a release reads, once it is known', () => {
    const { value } = synthesized(withModels(shipped('gent.prod')), 'gcp').json.platform.output!['model_deployment']!;
    const known: Readonly<Record<string, string>> = {
      google_vertex_ai_endpoint: VertexAiModels.ENDPOINT,
      google_kms_crypto_key: DEPLOYMENT.key,
      var: `sha256:${DIGEST}`,
      data: 'tribo-gent',
    };
    const text = JSON.stringify(value).replace(
      /\$\{(?:data\.terraform_remote_state\.[^}]*crypto[^}]*|(\w+)[^}]*)\}/g,
      (_reference, type?: string) => known[type ?? 'google_kms_crypto_key'] ?? `unknown ${type!}`,
    );
    expect(readModelDeployment(text)).toMatchObject({ ...DEPLOYMENT, labels: expect.any(Object) });
  });

  it.each([
    ['no JSON', 'Warning: No outputs found', /`terraform output -json model_deployment` writes: .*expected object/],
    ['another output', '"projects/x"', /expected object/],
    [
      'an image by a tag',
      JSON.stringify({ ...DEPLOYMENT, image: 'x/model-server:1' }),
      /image: must name .* by its dig/,
    ],
    ['one thing too many', JSON.stringify({ ...DEPLOYMENT, more: 1 }), /Unrecognized key: "more"/],
  ])('is refused where it is %s', (_what, text, said) => {
    expect(() => readModelDeployment(text)).toThrow(said);
  });
});

describe('npm run models', () => {
  const run = promisify(execFile);
  const program = join(import.meta.dirname, '../models.ts');
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tribo-models-'));
    file = join(folder, 'deployment.json');
  });
  afterEach(() => rmSync(folder, { recursive: true }));
  const models = (args: readonly string[], env: Readonly<Record<string, string>>) =>
    run(process.execPath, [program, ...args], { env: { PATH: process.env['PATH'], ...env } });

  it('takes away by --remove, as whoever the token is, with the file that Terraform wrote', async () => {
    await release();
    writeFileSync(file, JSON.stringify(DEPLOYMENT));
    const { stdout } = await models(['--remove', file], {
      GOOGLE_OAUTH_ACCESS_TOKEN: VertexAiModels.TOKEN,
      CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM: `${vertex.wire.url}/`,
    });
    expect(stdout).toMatch(/goes\n.*model-server is gone\n$/);
    expect(vertex.deployed).toEqual([]);
  }, 60_000);

  it.each([
    ['no file', () => [], 'name one file: npm run models -- '],
    ['a file that is not there', () => [join(folder, 'absent.json')], 'absent.json: ENOENT'],
    ['no token', () => [file], 'set GOOGLE_OAUTH_ACCESS_TOKEN to what `gcloud auth print-access-token` says'],
  ])('says what it wants where it has %s', async (_what, args, says) => {
    writeFileSync(file, JSON.stringify(DEPLOYMENT));
    await expect(models(args(), {})).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining(says) });
  });
});
