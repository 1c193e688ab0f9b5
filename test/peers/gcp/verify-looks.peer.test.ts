import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { identityPlatformIdentityVerifierConfigSchema } from '#adapters/gcp/identity-platform-identity-verifier/config.ts';
import { identityPlatformTokens } from '#adapters/gcp/identity-platform-identity-verifier/identity-platform-identity-verifier.ts';
import { ModelServer } from '../model-server.ts';
import { describeIssuerLooks } from '../verify-issuer.ts';
import { startVerify, verifySite } from '../verify-site.ts';
import { VertexAi } from '../vertex-ai.ts';

const TIMEOUT_MS = 180_000;
const PLACE = { project: 'tribo-akron', location: 'europe-west4', endpointId: '4711' };
const ENDPOINT = 'projects/tribo-akron/locations/europe-west4/endpoints/4711';
const PREDICT_ROUTE = '/v1/endpoints/4711/deployedModels/1:predict';

describe('tribo verify of an endpoint of Vertex AI', () => {
  let container: ModelServer;
  let vertex: VertexAi;
  let env: Readonly<Record<string, string>>;
  beforeAll(async () => {
    container = await ModelServer.start({ AIP_PREDICT_ROUTE: PREDICT_ROUTE, AIP_HEALTH_ROUTE: '/v1/up' });
    const place = { endpoint: ENDPOINT, predictRoute: PREDICT_ROUTE, containerErrors: 'as they are' } as const;
    vertex = await VertexAi.start(container, place);
    env = { GCE_METADATA_HOST: new URL(vertex.metadata.url).host };
  }, 120_000);
  afterAll(async () => {
    await vertex[Symbol.asyncDispose]();
    await container[Symbol.asyncDispose]();
  });

  const siteOf = (given: object = {}) => ({
    modelInference: { adapter: 'vertex-ai-model-inference', ...PLACE, origin: vertex.wire.url, ...given },
  });

  it(
    'has one model score, with a token of the machine',
    async () => {
      const { code, ports } = await verifySite(siteOf(), [], env);
      expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 6, failed: [], problems: [] }] });
    },
    TIMEOUT_MS,
  );

  it.each([
    ['the endpoint is not there', { endpointId: '4712' }, /unavailable: .*4712/],
    ['nobody answers', { origin: 'http://127.0.0.1:1' }, /unavailable: [^]*-> see that the service runs/],
  ])(
    'fails where %s, and says so',
    async (_what, change, says) => {
      const { code, stdout } = await startVerify(siteOf(change), [], env).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );

  it(
    'fails where the account may not sign in, and says what it needs',
    async () => {
      const denied = { status: 403, headers: { 'metadata-flavor': 'Google' }, body: '' };
      vertex.tokenFaults.push(...Array.from({ length: 50 }, () => denied));
      try {
        const { code, stdout } = await startVerify(siteOf(), [], env).ended;
        const says = expect.stringMatching(/permission_denied: [^]*-> the role needs: aiplatform.endpoints.predict/);
        expect({ code, stdout }).toEqual({ code: 70, stdout: says });
      } finally {
        vertex.tokenFaults.length = 0;
      }
    },
    TIMEOUT_MS,
  );
});

describeIssuerLooks('Identity Platform', () =>
  identityPlatformTokens(identityPlatformIdentityVerifierConfigSchema.parse({ projectId: 'tribo-akron' })),
);
