/**
 * Runs the adapters' contracts and tests against peers of the services that they are for: `npm run test:peers`, or of some families only:
 * `npm run test:peers -- aws`, or of all others: `npm run test:peers -- but aws`. What jest is to be given comes after these, beginning with a dash.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Azurite } from './azurite.ts';
import { FakeGcs } from './fake-gcs.ts';
import { Hadolint } from './images/hadolint.ts';
import { Reader } from './images/reader.ts';
import { Kafka } from './kafka.ts';
import { Kinesalite } from './kinesalite.ts';
import { Moto } from './moto.ts';
import './need-sdks.ts';
import { OidcProvider } from './oidc-provider.ts';
import { Actionlint } from './pipelines/actionlint.ts';
import { Pstest } from './pubsub.ts';

/** What a family's tests start: installed before them, as a test's time is not for compiling a server. */
const PEERS: Readonly<Record<string, readonly { folder(): Promise<string> }[]>> = {
  aws: [Moto, Kinesalite],
  azure: [Azurite],
  gcp: [FakeGcs, Pstest],
  images: [Reader, Hadolint],
  kafka: [Kafka],
  oidc: [OidcProvider],
  pipelines: [Actionlint],
  platform: [Moto, Azurite, FakeGcs, Pstest, Kafka],
  'platform-faults': [Moto, Azurite, FakeGcs, Pstest, Kafka],
};

const root = join(import.meta.dirname, '../..');
const given = process.argv.slice(2);
const firstOption = given.findIndex((each) => each.startsWith('-'));
const words = firstOption < 0 ? given : given.slice(0, firstOption);
const others = words[0] === 'but';
const asked = others ? words.slice(1) : words;
const options = firstOption < 0 ? [] : given.slice(firstOption);

const families = [...new Set(['adapters', 'test/peers'].flatMap(foldersWithTests))];
const unknown = asked.filter((name) => !families.includes(name));
if (unknown.length > 0) {
  console.error(`There are no peers of ${unknown.join(', ')}; there are those of ${families.join(', ')}.`);
  process.exit(64);
}
const chosen = others ? families.filter((name) => !asked.includes(name)) : asked.length > 0 ? asked : families;
await Promise.all([...new Set(chosen.flatMap((name) => PEERS[name] ?? []))].map((peer) => peer.folder()));
const paths = chosen.map((name) => `(adapters|test/peers)/${name}/`);
const jest = ['npm', ['test', '--silent', '--', '--config', 'jest.peers.config.ts', ...options, ...paths]] as const;
process.exit(spawnSync(...jest, { cwd: root, stdio: 'inherit' }).status ?? 1);

function foldersWithTests(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter((each) => each.isDirectory() && peerTests(join(root, folder, each.name)).length > 0)
    .map(({ name }) => name);
}

function peerTests(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.peer.test.ts'));
}
