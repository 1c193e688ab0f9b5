import { describe, expect, it } from '@jest/globals';
import { parseModelServerConfig } from './config.ts';

const parse = (args: readonly string[], env: Readonly<Record<string, string>> = {}, folders: readonly string[] = []) =>
  parseModelServerConfig(args, env, (path) => folders.includes(path));

describe('the configuration of a model server', () => {
  it('listens on loopback, and takes models with requests, unless told otherwise', () => {
    expect(parse([])).toMatchObject({ host: '127.0.0.1', port: 8080, uploads: 'on' });
    expect(parse([]).models).toBeUndefined();
  });

  it.each([
    ['Vertex AI', { AIP_STORAGE_URI: 'gs://models/tribo', AZUREML_MODEL_DIR: '' }, 'gs://models/tribo'],
    [
      'Azure ML',
      { AZUREML_MODEL_DIR: '/var/azureml-app/azureml-models/tribo/1' },
      '/var/azureml-app/azureml-models/tribo/1',
    ],
    ['SageMaker', {}, '/opt/ml/model'],
  ])('finds the models where %s says they are', (_cloud, env, models) => {
    expect(parse(['serve'], env, ['/opt/ml/model'])).toMatchObject({ models });
  });

  it('takes the port and the routes that Vertex AI chose, and a flag before them', () => {
    const env = { AIP_HTTP_PORT: '8501', AIP_PREDICT_ROUTE: '/v1/endpoints/1:predict', AIP_HEALTH_ROUTE: '/v1/up' };
    const routes = { predictRoute: '/v1/endpoints/1:predict', healthRoute: '/v1/up' };
    expect(parse([], env)).toMatchObject({ port: 8501, ...routes });
    expect(parse(['--port', '9000'], env)).toMatchObject({ port: 9000, ...routes });
  });

  it.each([
    [['--prot', '1'], {}, /--prot.*; there are --host, --port/],
    [['--port', 'x', '--max-models', '0'], {}, /--port or AIP_HTTP_PORT: .*; --max-models: /],
    [['--models', 's3://bucket/x'], {}, /--models, AIP_STORAGE_URI or AZUREML_MODEL_DIR: must be a folder or gs:/],
    [[], { AIP_PREDICT_ROUTE: 'predict' }, /AIP_PREDICT_ROUTE: must be a path that begins with \//],
  ])('answers %j with %j by naming all that is wrong', (args, env, message) => {
    expect(() => parse(args, env)).toThrow(message);
  });
});
