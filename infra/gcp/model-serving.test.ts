import { describe, expect, it } from '@jest/globals';
import type { Environment } from '../../core/decision/environment.ts';
import { changed, notMade, shipped, synthesized, type Synthesized } from '../testing/synthesized.ts';
import { inCluster, withModels } from '../testing/variations.ts';

const prod = shipped('gent.prod');
const without = synthesized(prod, 'gcp');
const inProd = synthesized(withModels(prod), 'gcp');
const inZones = synthesized(withModels(shipped('akron.prod')), 'gcp');
const withCluster = synthesized(withModels(inCluster(prod)), 'gcp');

const AGENT = 'serviceAccount:service-${data.google_project.project.number}@gcp-sa-aiplatform.iam.gserviceaccount.com';
const KEY_USERS = 'google_kms_crypto_key_iam_binding';
const apisOf = (site: Synthesized) => site.of('google_project_service').map(({ service }) => service);
const outputOf = (site: Synthesized, name: string) => site.json.platform.output?.[name]?.value;

describe('without an endpoint', () => {
  it('nothing of it is made, switched on or let in, and services run models themselves', () => {
    const made = without.resources.filter(
      ({ type, path }) => type.includes('vertex_ai') || /platform\/(training|model-inference)\//.test(path),
    );
    expect(made).toEqual([]);
    expect(apisOf(without)).not.toContain('aiplatform.googleapis.com');
    expect(without.one(KEY_USERS, 'key/users')['members']).not.toContain(AGENT);
    expect(outputOf(without, 'ports')).not.toHaveProperty('modelInference');
    expect(JSON.stringify(without.of('google_project_iam_custom_role'))).not.toContain('aiplatform');
  });
});

describe('an environment that asks for', () => {
  it.each<[Environment['switches']['modelEndpoint'], readonly string[]]>([
    ['none', []],
    ['instance', []],
    ['serverless', ['switches.modelEndpoint: serverless']],
  ])('the endpoint %s is refused what Google Cloud does not have: %j', (modelEndpoint, refused) => {
    const environment = changed(prod, { switches: { ...prod.switches, modelEndpoint } });
    expect(notMade('gcp', environment)).toEqual(refused);
  });
});

describe('the endpoint', () => {
  const endpoint = inProd.one('google_vertex_ai_endpoint', 'model-inference/endpoint');

  it('is in the region, labelled, and encrypted with the key of the site, which Vertex AI is let use', () => {
    expect(endpoint).toMatchObject({
      name: expect.stringMatching(/^[1-9]\d{8}$/),
      display_name: 'tribo-gent-prod-models',
      location: 'europe-west1',
      encryption_spec: { kms_key_name: expect.stringContaining('google_kms_crypto_key') },
      labels: { deployment: 'tribo-gent-prod', environment: 'prod' },
    });
    expect(inProd.one(KEY_USERS, 'key/users')['members']).toContain(AGENT);
    expect(apisOf(inProd)).toContain('aiplatform.googleapis.com');
  });

  it('is reached by the names of Google’s APIs, which lead to private addresses, and has no name of its own', () => {
    // Of these the provider takes one at the most; each leads past the zone below, or past the question who calls.
    for (const other of ['dedicated_endpoint_enabled', 'network', 'private_service_connect_config'])
      expect(endpoint).not.toHaveProperty(other);
    expect(inProd.of('google_dns_record_set')).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: '*.googleapis.com.', type: 'CNAME', rrdatas: ['googleapis.com.'] }),
      ]),
    );
    expect(outputOf(inProd, 'ports')).toMatchObject({
      modelInference: {
        adapter: 'vertex-ai-model-inference',
        ...{ project: '${data.google_project.project.project_id}', location: 'europe-west1' },
        endpointId: expect.stringMatching(/^\$\{google_vertex_ai_endpoint\.\S+\.name\}$/),
      },
    });
  });

  it('keeps its traffic where a release led it, and what is asked and answered is kept nowhere', () => {
    expect(endpoint).toMatchObject({ lifecycle: { ignore_changes: ['traffic_split'] } });
    expect(endpoint).not.toHaveProperty('predict_request_response_logging_config');
  });

  it.each([
    ['on Cloud Run', inProd],
    ['in a cluster', withCluster],
  ])('is asked by the services that run models, and by no other: %s', (_where, site) => {
    const roles = site
      .found('google_project_iam_custom_role')
      .filter(({ is }) => (is['permissions'] as readonly string[]).includes('aiplatform.endpoints.predict'));
    expect(roles.map(({ is }) => is['permissions'])).toEqual([['aiplatform.endpoints.predict']]);
    const reference = roles[0]!.path.split('/').slice(1).join('_');
    const asking = site
      .found('google_project_iam_member')
      .filter(({ is }) => (is['role'] as string).includes(`.${reference}`));
    expect(asking.map(({ path }) => path.replace('platform/service-identities/', '')).toSorted()).toEqual([
      'api-gateway-modelInference-0',
      'ml-service-modelInference-0',
    ]);
    for (const { path, is } of asking)
      expect(is['member']).toContain(`_${path.split('/').at(-1)!.replace('-modelInference-0', '')}_`);
  });

  it('has its log where the others are', () => {
    for (const [type, path] of [
      ['google_logging_project_sink', 'logs/sink'],
      ['google_logging_project_exclusion', 'logs/not-by-default'],
    ] as const)
      expect(inProd.one(type, path)['filter']).toContain(
        `(resource.type="aiplatform.googleapis.com/Endpoint" AND resource.labels.endpoint_id="${endpoint['name'] as string}") OR resource.type="ml_job"`,
      );
  });
});

describe('what runs behind it', () => {
  it('is the model server of the release, by its digest, encrypted and labelled as the site is', () => {
    expect(outputOf(inProd, 'model_deployment')).toEqual({
      endpoint: expect.stringMatching(/^\$\{google_vertex_ai_endpoint\.\S+\.id\}$/),
      model: 'tribo-gent-prod-model-server',
      image: expect.stringMatching(
        /^europe-west1-docker\.pkg\.dev\/\S+\/tribo-gent-prod\/model-server@\$\{var\.image_digests\["model-server"\]\}$/,
      ),
      machineType: 'e2-standard-2',
      ...{ leastReplicas: 1, mostReplicas: 4, busyPercent: 60 },
      key: expect.stringContaining('google_kms_crypto_key'),
      labels: expect.objectContaining({ deployment: 'tribo-gent-prod' }),
    });
  });

  it('is two machines at the least in several zones', () => {
    expect(outputOf(inZones, 'model_deployment')).toMatchObject({ leastReplicas: 2, mostReplicas: 4 });
  });
});

describe('training', () => {
  it('is an account that reads and writes its own part of the objects, deletes nothing, and may nothing else', () => {
    const rights = inProd.resources.filter(({ is }) => JSON.stringify(is['member'] ?? '').includes('training_account'));
    expect(rights).toHaveLength(1);
    const [{ type, is }] = rights as [(typeof rights)[number]];
    expect(type).toBe('google_storage_bucket_iam_member');
    expect(is['role']).toContain('training_training-objects');
    expect(inProd.one('google_project_iam_custom_role', 'training/training-objects')['permissions']).toEqual([
      ...['storage.objects.create', 'storage.objects.get', 'storage.objects.list'],
    ]);
    const { expression } = is['condition'] as { readonly expression: string };
    expect(expression).toMatch(
      /^resource\.name\.startsWith\("projects\/_\/buckets\/\S+\/objects\/training\/"\) \|\| api\.getAttribute\("storage\.googleapis\.com\/objectListPrefix", ""\)\.startsWith\("training\/"\)$/,
    );
  });

  it('is a job of one machine for a day at the most, as that account, which writes there', () => {
    expect(outputOf(inProd, 'training_job')).toEqual({
      workerPoolSpecs: [{ machineSpec: { machineType: 'n1-standard-4' }, replicaCount: 1 }],
      scheduling: { timeout: '86400s' },
      serviceAccount: expect.stringMatching(/^\$\{google_service_account\.training_account\S*\.email\}$/),
      baseOutputDirectory: { outputUriPrefix: expect.stringMatching(/^gs:\/\/\$\{\S+\}\/training\/$/) },
    });
  });

  it('is nothing that stands between jobs, and is started by whoever is given the role for it', () => {
    const types = inProd.resources.filter(({ path }) => path.startsWith('platform/training/')).map(({ type }) => type);
    expect(types.toSorted()).toEqual([
      ...['google_project_iam_custom_role', 'google_project_iam_custom_role'],
      ...['google_service_account', 'google_storage_bucket_iam_member'],
    ]);
    expect(inProd.one('google_project_iam_custom_role', 'training/submit-training')['permissions']).toEqual([
      ...['aiplatform.customJobs.create', 'aiplatform.customJobs.get'],
      ...['aiplatform.customJobs.list', 'aiplatform.customJobs.cancel'],
    ]);
    expect(outputOf(inProd, 'training_role')).toMatch(/training_submit-training\S*\.name\}$/);
    expect(JSON.stringify(inProd.of('google_project_iam_member'))).not.toContain('submit-training');
  });
});
