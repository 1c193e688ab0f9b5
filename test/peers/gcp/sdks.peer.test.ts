import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { LoadedPackages } from '#test/support/loaded-packages.ts';
import { PlatformProcess } from '#test/support/platform-process.ts';
import { FakeGcs } from '../fake-gcs.ts';

const BUCKET = 'tribo-platform';
const OF_OTHERS = /^(@aws-sdk|@smithy|@azure|@platformatic|rhea|pg)(\/|-|$)/;

let gcs: FakeGcs;
let folder: string;

// The peer is built from its source, once.
beforeAll(async () => {
  gcs = await FakeGcs.start();
  const { Storage } = await import('@google-cloud/storage');
  await new Storage({ apiEndpoint: gcs.endpoint, projectId: 'tribo' }).bucket(BUCKET).create();
  folder = mkdtempSync(join(tmpdir(), 'tribo-sdks-'));
}, 900_000);

afterAll(async () => {
  await gcs[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

it('a platform on Google loads the SDK of Google that it uses, and none of another provider', async () => {
  const portsFile = join(folder, 'ports.yaml');
  const site = [
    'provider: gcp',
    `objectStore: { bucket: ${BUCKET}, emulatorEndpoint: '${gcs.endpoint}' }`,
    ...['eventStream', 'secretStore', 'timeSeriesStore', 'checkpointStore', 'machineRegistry', 'deviceRegistry']
      .concat(['ruleStore', 'alarmJournal', 'auditTrail', 'modelRegistry', 'tokenIssuer'])
      .map((port) => `${port}: embedded`),
  ];
  writeFileSync(portsFile, site.join('\n'));
  const loaded = new LoadedPackages(join(folder, 'packages'));
  await using platform = await PlatformProcess.start({ env: { ...loaded.env, TRIBO_PORTS_FILE: portsFile } });
  await platform.stop();
  expect(loaded.names()).toEqual(expect.arrayContaining(['@google-cloud/storage', 'inversify', 'lmdb']));
  expect(loaded.names().filter((name) => OF_OTHERS.test(name))).toEqual([]);
  expect(loaded.names()).not.toContain('@google-cloud/pubsub');
}, 120_000);
