import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { entraIdentityVerifierConfigSchema } from '#adapters/azure/entra-identity-verifier/config.ts';
import { entraTokens } from '#adapters/azure/entra-identity-verifier/entra-identity-verifier.ts';
import { AzureMl } from '../azure-ml.ts';
import { CommunicationPeer } from '../communication.ts';
import { failure } from '../key-vault.ts';
import { startManagedIdentity } from '../managed-identity.ts';
import { ModelServer } from '../model-server.ts';
import { startVerify, verifySite } from '../verify-site.ts';
import { describeIssuerLooks } from '../verify-issuer.ts';
import type { WireServer } from '../wire-server.ts';

const TIMEOUT_MS = 180_000;
/** A link of the default chain that finds nothing here. */
const NOBODY = { AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential' };

describe('tribo verify of an endpoint of Azure ML', () => {
  let container: ModelServer;
  let azure: AzureMl;
  beforeAll(async () => {
    container = await ModelServer.start();
    azure = await AzureMl.start(container, ['blue']);
  }, 120_000);
  afterAll(async () => {
    await azure[Symbol.asyncDispose]();
    await container[Symbol.asyncDispose]();
  });

  const siteOf = (given: object = {}) => ({
    modelInference: { adapter: 'azure-ml-model-inference', scoringUri: `${azure.wire.url}/score`, ...given },
  });

  it(
    'has one model score, with a token of the machine',
    async () => {
      const { code, ports } = await verifySite(siteOf({ deployment: 'blue' }));
      expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 6, failed: [], problems: [] }] });
    },
    TIMEOUT_MS,
  );

  it.each([
    ['the deployment is not there', () => ({ deployment: 'red' }), {}, /unavailable: .*red/],
    ['the address is another', () => ({ scoringUri: `${azure.wire.url}/scores` }), {}, /URL is not correct/],
    ['nobody is signed in', () => ({}), NOBODY, /permission_denied: [^]*-> the role needs: .*onlineEndpoints/],
  ])(
    'fails where %s, and says so',
    async (_what, change, env, says) => {
      const { code, stdout } = await startVerify(siteOf(change()), [], env).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );
});

describe('tribo verify of mails by Communication Services', () => {
  let folder: string;
  let service: CommunicationPeer;
  let identity: WireServer;
  let env: Readonly<Record<string, string>>;
  beforeAll(async () => {
    service = await CommunicationPeer.start();
    identity = await startManagedIdentity('https://communication.azure.com/', service.tokens);
    folder = mkdtempSync(join(tmpdir(), 'tribo-ca-'));
    env = { NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') };
    writeFileSync(env['NODE_EXTRA_CA_CERTS']!, service.peer.ca);
  });
  afterAll(async () => {
    await identity[Symbol.asyncDispose]();
    await service[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const siteOf = (endpoint = service.peer.url) => {
    const mail = { from: 'tribo@example.org', to: ['shift@example.org'] };
    return { notifiers: [{ adapter: 'communication-notifier', endpoint, ...mail }] };
  };

  it(
    'has it take a message that says that it is a test',
    async () => {
      const { code, ports } = await verifySite(siteOf(), ['--notify'], env);
      expect({ code, ports }).toMatchObject({ code: 0, ports: [{ ok: true, passed: 1, failed: [], problems: [] }] });
      expect(service.taken.map(({ message }) => JSON.stringify(message['content']))).toEqual([
        expect.stringContaining('This is a test of notifications by tribo verify'),
      ]);
    },
    TIMEOUT_MS,
  );

  it(
    'fails where the domain of the sender is not of the resource, and says so',
    async () => {
      service.peer.disturbance = failure(400, 'DomainNotLinked', 'The specified sender domain has not been linked.');
      try {
        const { code, stdout } = await startVerify(siteOf(), ['--notify'], env).ended;
        const says = expect.stringMatching(/failed_precondition: .*has not been linked[^]*-> deploy what it names/);
        expect({ code, stdout }).toEqual({ code: 70, stdout: says });
      } finally {
        service.peer.disturbance = undefined;
      }
    },
    TIMEOUT_MS,
  );

  it.each([
    ['nobody answers', 'https://127.0.0.1:1', {}, /unavailable: [^]*-> see that the service runs/],
    ['nobody is signed in', undefined, NOBODY, /permission_denied: [^]*-> the role needs: the role Communication/],
  ])(
    'fails where %s, and says so',
    async (_what, endpoint, change, says) => {
      const { code, stdout } = await startVerify(siteOf(endpoint), ['--notify'], { ...env, ...change }).ended;
      expect({ code, stdout }).toEqual({ code: 70, stdout: expect.stringMatching(says) });
    },
    TIMEOUT_MS,
  );
});

describeIssuerLooks('Entra ID', () => {
  const id = 'aaaabbbb-0000-cccc-1111-dddd2222eeee';
  return entraTokens(
    entraIdentityVerifierConfigSchema.parse({ directoryId: id, audience: id, tenant: { claim: 'tenant' } }),
  );
});
