import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AedesDeviceGateway } from '#adapters/embedded/aedes-device-gateway/aedes-device-gateway.ts';
import { aedesDeviceGatewayConfigSchema } from '#adapters/embedded/aedes-device-gateway/config.ts';
import { until } from '#core/contracts/until.ts';
import type { MachineKey } from '#core/domain/ids.ts';
import { GatewayPlatform, SITE, SOUTH } from '#test/support/gateway-platform.ts';
import { MqttDevice } from '#test/support/mqtt-device.ts';
import type { SentCommand } from './schemas/commands.ts';
import type { AddedDevice } from './schemas/devices.ts';

const PRESS = 'north/akron/press-7' as MachineKey;
const COMMANDS = '/v1/machines/press-7/commands';
const BODY = { command: { action: 'set-sample-rate', sampleRateHz: 25_600 } };

let platform: GatewayPlatform;
let broker: AedesDeviceGateway;
let secret: string;
const folder = mkdtempSync(join(tmpdir(), 'tribo-commands-'));
const send = (body: unknown, headers: Record<string, string> = {}) =>
  platform.call('engineer', 'POST', COMMANDS, { body, headers });

beforeAll(async () => {
  platform = await GatewayPlatform.start({}, (dependencies) => {
    const commandDatabasePath = join(folder, 'commands.db');
    const config = aedesDeviceGatewayConfigSchema.parse({
      port: 0,
      commandDatabasePath,
      maxQueuedCommandsPerMachine: 3,
    });
    const { devices, clock } = dependencies;
    broker = new AedesDeviceGateway(config, { devices, clock, refuse: () => undefined, onProblem: () => undefined });
    return { ...dependencies, commands: broker };
  });
  await broker.start(platform.dependencies.intake, platform.live);
});
afterAll(async () => {
  await broker.close();
  await platform[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('POST /v1/machines/{machine}/commands', () => {
  it('answers 404 for a machine that no device speaks for, that is not there, or that is another tenant’s', async () => {
    expect((await send(BODY)).json).toMatchObject({
      type: 'urn:tribo:problem:not-found',
      detail: expect.stringContaining('no device speaks for'),
    });
    expect((await platform.call('engineer', 'POST', '/v1/machines/none/commands', { body: BODY })).status).toBe(404);
    const body = { id: 'gw-7', machines: [{ site: SITE, machine: 'press-7' }] };
    const added = await platform.call('engineer', 'POST', '/v1/devices', { body });
    secret = (added.json as AddedDevice).secret;
    expect((await platform.call('engineer', 'POST', COMMANDS, { body: BODY }, SOUTH)).status).toBe(404);
  });

  it.each([
    ['viewer', 403],
    ['operator', 403],
  ] as const)('is not for a %s', async (role, status) => {
    expect((await platform.call(role, 'POST', COMMANDS, { body: BODY })).status).toBe(status);
  });

  it.each([
    ['no command', {}, '/command'],
    ['a command that is no object', { command: 'stop' }, '/command'],
    ['an expiry of nothing', { ...BODY, expiresInS: 0 }, '/expiresInS'],
    ['an expiry of years', { ...BODY, expiresInS: 1e9 }, '/expiresInS'],
    ['something unknown', { ...BODY, qos: 2 }, ''],
    ['one byte more than a device is sent', { command: { text: 'x'.repeat(131_072) } }, '/command'],
  ])('answers %s with 422 and where', async (_what, body, pointer) => {
    const { status, json } = await send(body);
    expect([status, json]).toEqual([422, expect.objectContaining({ pointer: expect.stringContaining(pointer) })]);
  });

  it('answers a body of megabytes with 413', async () => {
    expect((await send({ command: { text: 'x'.repeat(2 ** 20) } })).status).toBe(413);
  });

  it('keeps it for a device that is away, once for one Idempotency-Key, and sends it when the device comes', async () => {
    const key = { 'idempotency-key': 'k-1' };
    const first = (await send(BODY, key)).json as SentCommand;
    expect((await send(BODY, key)).json).toEqual(first);
    expect((await send({ command: { action: 'other' } }, key)).status).toBe(422);
    expect(first).toMatchObject({ site: SITE, machine: 'press-7', topic: `tribo/v1/${PRESS}/command` });

    const login = { clientId: 'gw-7', username: 'gw-7', password: secret };
    const device = await MqttDevice.connect(broker.port, login);
    const received: unknown[] = [];
    await device.onCommand(PRESS, (payload) => received.push(JSON.parse(Buffer.from(payload).toString())));
    await until(() => received.length === 1);
    const second = await send(BODY);
    expect(second.status).toBe(202);
    await until(() => received.length === 2);
    await device.disconnect();
    const expiresAt = new Date(first.expiresMs).toISOString();
    expect(received).toMatchObject([
      { id: first.id, expiresAt, ...BODY },
      { id: (second.json as SentCommand).id, ...BODY },
    ]);
  });

  it('answers 429 when too many wait for a device that is away', async () => {
    // Of its own: what a device has just acknowledged of another may still be counted there.
    const path = '/v1/machines/press-9';
    await platform.call('engineer', 'PUT', `${path}?site=${SITE}`, { body: { id: 'press-9', class: 'press' } });
    const machines = [{ site: SITE, machine: 'press-9' }];
    await platform.call('engineer', 'POST', '/v1/devices', { body: { id: 'gw-9', machines } });
    const statuses = [];
    for (let n = 0; n < 4; n++)
      statuses.push((await platform.call('engineer', 'POST', `${path}/commands`, { body: BODY })).status);
    expect(statuses).toEqual([202, 202, 202, 429]);
  });
});
