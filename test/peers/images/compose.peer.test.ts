import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { FAMILIES, PROVIDERS } from '#adapters/providers.ts';
import { loadPortsFile } from '#services/shared/config/ports-file.ts';
import { Reader, type Stage } from './reader.ts';

const project = join(import.meta.dirname, '../../..');

interface Service {
  readonly image: string;
  readonly profiles: readonly string[];
  readonly build?: { readonly target: string; readonly args?: Readonly<Record<string, string>> };
  readonly environment: Readonly<Record<string, string>>;
  readonly healthcheck?: unknown;
  readonly ports?: readonly { readonly host_ip?: string }[];
  readonly configs?: readonly { readonly source: string; readonly target: string }[];
  readonly secrets?: readonly { readonly source: string }[];
}

let services: Readonly<Record<string, Service>>;
let stages: readonly Stage[];
let reader: Reader;

beforeAll(async () => {
  reader = await Reader.open();
  stages = await reader.dockerfile(join(project, 'Dockerfile'));
  services = (await reader.compose(join(project, 'compose.yaml'), {}))['services'] as typeof services;
});

describe('the compose file', () => {
  it('has one platform a profile', () => {
    const platforms = Object.values(services).filter(({ build }) => build);
    expect(platforms.map(({ profiles }) => profiles)).toEqual([['embedded'], ['kafka'], ['postgres']]);
    for (const { build } of platforms) expect(stages.map(({ name }) => name)).toContain(build?.target);
  });

  it('publishes on loopback alone', () => {
    const published = Object.values(services).flatMap(({ ports = [] }) => ports);
    expect(published).toHaveLength(6);
    expect(new Set(published.map(({ host_ip }) => host_ip))).toEqual(new Set(['127.0.0.1']));
  });

  it('runs the platform as user 1000, with a read-only file system and no capability', () => {
    for (const service of Object.values(services).filter(({ build }) => build))
      expect(service).toMatchObject({
        user: '1000:1000',
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
      });
  });

  it('takes images of others by their digests, and asks each whether it is healthy', () => {
    const others = Object.values(services).filter(({ build }) => !build);
    expect(others).toHaveLength(2);
    for (const { image, healthcheck } of others) {
      expect(image).toMatch(/@sha256:[0-9a-f]{64}$/);
      expect(healthcheck).toBeDefined();
    }
  });

  it('holds no password: who has the database is given one as a file', () => {
    const words = Object.values(services).flatMap(({ environment }) => Object.entries(environment));
    const named = words.filter(([name]) => /PASSWORD|SECRET|TOKEN|KEY/.test(name));
    expect(named).toEqual([['POSTGRES_PASSWORD_FILE', '/run/secrets/postgres-password']]);
    const given = Object.entries(services).filter(([, { secrets = [] }]) => secrets.length > 0);
    expect(given.map(([name]) => name).sort()).toEqual(['platform-with-kafka', 'platform-with-postgres', 'postgres']);
  });

  it.each([
    ['postgres', ['postgres']],
    ['kafka', ['postgres', 'kafka']],
  ])('of the profile %s gives the platform a ports file that it takes, and the SDKs of it', (profile, sdks) => {
    const path = join(project, `environments/compose/${profile}.yaml`);
    const chosen = loadPortsFile(path, { families: FAMILIES, providers: PROVIDERS });
    expect(chosen.map(({ offer }) => offer.port)).toContain(profile === 'kafka' ? 'eventStream' : 'timeSeriesStore');
    expect(services[`platform-with-${profile}`]).toMatchObject({
      environment: { TRIBO_PORTS_FILE: '/etc/tribo/ports.yaml' },
      configs: [{ source: `${profile}-ports`, target: '/etc/tribo/ports.yaml' }],
      build: { args: { SDKS: sdks.join(' ') } },
    });
  });

  it('is held to the schema: a key that there is not is refused', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tribo-compose-'));
    const worse = join(folder, 'compose.yaml');
    writeFileSync(worse, readFileSync(join(project, 'compose.yaml'), 'utf8').replace('shm_size:', 'sharedMemory:'));
    await expect(reader.compose(worse, {})).rejects.toThrow(/sharedMemory/);
    rmSync(folder, { recursive: true });
  });
});
