import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DEFAULT_INDICATOR_PARAMETERS } from '#core/inference/health-indicator.ts';
import { healthGraph } from '#core/inference/health-model.ts';
import { encodeOnnxModel } from '#core/inference/onnx-model.ts';
import type { CreatedToken, TokenView } from '#services/api-gateway/schemas/access.ts';
import type { AlarmFiguresView, AlarmView } from '#services/api-gateway/schemas/alarms.ts';
import type { AddedDevice, DeviceView } from '#services/api-gateway/schemas/devices.ts';
import type { FleetMachine, MachineDetail, MachineEventView } from '#services/api-gateway/schemas/machines.ts';
import type { RuleView } from '#services/api-gateway/schemas/rules.ts';
import { request, sendTelemetry } from '#test/support/edge-requests.ts';
import { PlatformProcess, runCommand, SITE, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 240_000;
const MACHINE = 'press-7';
const RULE = {
  ...{ kind: 'threshold', metric: 'temperature', direction: 'above', limit: 60, text: 'Warm', priority: 'low' },
  ...{ consequence: 'Nothing yet.', response: 'Look at it.' },
};

const MODEL_DESCRIPTION = {
  inputs: ['rms_g'],
  parameters: { threshold: 3 },
  provenance: { trainedOn: 'last month', fromMs: 1, toMs: 2, samples: 10, software: 'notebook 3', metrics: {} },
};

let platform: PlatformProcess;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-commands-'));
  platform = await PlatformProcess.start();
  await platform.api.request('PUT', `/v1/machines/${MACHINE}?site=${SITE}`, { id: MACHINE, class: 'press' });
}, TIMEOUT_MS);

afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('commands to a platform that runs', () => {
  it(
    'put a rule in force without a restart, and explain, acknowledge, shelve and take back the alarm that it raises',
    async () => {
      const put = await ask<RuleView>('rule', 'put', 'warm', ruleFile({}));
      expect(put).toMatchObject({ id: 'warm', version: 1 });
      let alarm: AlarmView | undefined;
      await until('the rule raises an alarm', async () => {
        await sendTelemetry(platform, MACHINE, [{ ts: Date.now(), metrics: { temperature: 61 } }]);
        [alarm] = await ask<AlarmView[]>('alarm', 'list', '--machine', MACHINE);
        return alarm !== undefined;
      });
      const { id } = alarm!;
      expect(await ask<AlarmView>('alarm', 'show', id)).toMatchObject({
        state: 'unacknowledged',
        parts: [{ message: 'temperature 61 is above 60', source: { kind: 'rule', id: 'warm', version: 1 } }],
        journal: [{ action: 'raised' }],
      });
      expect(await platform.command('alarm', 'acknowledge', id)).toMatchObject({ code: 64 });
      expect(await ask<AlarmView>('alarm', 'acknowledge', id, '--comment', 'felt it')).toMatchObject({
        state: 'acknowledged',
        comment: 'felt it',
      });
      expect(await platform.command('alarm', 'acknowledge', id, '--comment', 'again')).toMatchObject({ code: 73 });
      expect(await ask<AlarmView>('alarm', 'shelve', id, '--minutes', '5')).toMatchObject({ state: 'shelved' });
      expect(await ask<AlarmView>('alarm', 'unshelve', id)).toMatchObject({ state: 'acknowledged' });
      expect((await ask<AlarmFiguresView>('alarm', 'figures')).calls).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );

  it(
    'change a rule to its next version, point at what is wrong with one, and take it out of force',
    async () => {
      await ask<RuleView>('rule', 'put', 'changing', ruleFile({}));
      expect(await ask<RuleView>('rule', 'put', 'changing', ruleFile({ limit: 65 }))).toMatchObject({ version: 2 });
      const wrong = await platform.command('rule', 'put', 'changing', ruleFile({ limit: 'hot' }), '--json');
      expect(wrong).toMatchObject({ code: 65, stdout: '' });
      expect(JSON.parse(wrong.stderr)).toMatchObject({ kind: 'data', errors: [{ pointer: '/limit' }] });
      expect((await platform.command('rule', 'show', 'changing')).stdout).toContain('limit: 65');
      await ask<object>('rule', 'delete', 'changing');
      expect(await platform.command('rule', 'show', 'changing')).toMatchObject({ code: 66 });
      const left = (await ask<RuleView[]>('rule', 'list')).map(({ id }) => id);
      expect(left).toContain('temperature-mean-high');
      expect(left).not.toContain('changing');
    },
    TIMEOUT_MS,
  );

  it(
    'make a device for several machines, bind it anew, and refuse it from then on until it is let in again',
    async () => {
      const machines = ['mixer-1', 'mixer-2'];
      const added = await ask<AddedDevice>('device', 'add', ...machines, '--id', 'gateway-9');
      expect(added.device.machines).toEqual(machines.map((machine) => ({ site: SITE, machine })));
      expect(added.topics).toHaveLength(2);
      const sending = () => statusOfSending(added, 'mixer-2');
      expect(await sending()).toBe(202);
      await ask<object>('device', 'disable', 'gateway-9');
      await until('it is refused', async () => (await sending()) === 401);
      await ask<object>('device', 'enable', 'gateway-9');
      await until('it is let in', async () => (await sending()) === 202);
      await ask<object>('device', 'bind', 'gateway-9', 'mixer-1');
      await until('it may not speak for the other any more', async () => (await sending()) === 403);
      const listed = await ask<DeviceView[]>('device', 'list');
      expect(listed).toMatchObject([{ id: 'gateway-9', machines: [{ machine: 'mixer-1' }], enabled: true }]);
    },
    TIMEOUT_MS,
  );

  it(
    'make a token that may do what its role may and no more, and end it',
    async () => {
      const { id, token } = await ask<CreatedToken>('token', 'create', 'board', '--role', 'viewer');
      const asViewer = (...given: string[]) => runCommand([...given, '--url', platform.url, '--token', token]);
      expect(await asViewer('ledger')).toMatchObject({ code: 0 });
      expect(await asViewer('rule', 'put', 'warm', ruleFile({}))).toMatchObject({ code: 77 });
      expect(await ask<TokenView[]>('token', 'list')).toContainEqual(
        expect.objectContaining({ id, name: 'board', roles: ['viewer'], revoked: false }),
      );
      await ask<object>('token', 'revoke', id);
      expect(await asViewer('ledger')).toMatchObject({ code: 77 });
    },
    TIMEOUT_MS,
  );

  it(
    'register versions of a model, decide with a reason which of them runs, and take that back',
    async () => {
      const description = written('model.json', JSON.stringify(MODEL_DESCRIPTION));
      for (const version of [1, 2]) {
        const onnx = written('model.onnx', modelWithMean(version));
        expect(await ask<object>('model', 'register', 'outlier', onnx, description)).toMatchObject({ version });
      }
      const promoted = { name: 'outlier', promotedVersion: 1 };
      expect(await ask<object>('model', 'promote', 'outlier', '1', '--reason', 'the first')).toMatchObject(promoted);
      await ask<object>('model', 'promote', 'outlier', '2');
      expect(await ask<object>('model', 'rollback', 'outlier', '--reason', 'too shy')).toMatchObject(promoted);
      expect(await platform.command('model', 'promote', 'outlier', '9')).toMatchObject({ code: 66 });
      expect(await ask<object[]>('model', 'versions', 'outlier')).toMatchObject([
        { version: 2, promoted: false },
        { version: 1, promoted: true },
      ]);
      expect(await ask<object[]>('model', 'list')).toMatchObject([{ ...promoted, latestVersion: 2 }]);
    },
    TIMEOUT_MS,
  );

  it(
    'show the fleet, a machine and its history, to which they add',
    async () => {
      const press = expect.objectContaining({ machine: MACHINE, class: 'press' });
      expect(await ask<FleetMachine[]>('plant', 'list')).toContainEqual(press);
      expect((await platform.command('plant', 'show', SITE)).stdout).toContain(`id: ${MACHINE}`);
      expect(await ask<MachineDetail>('machine', 'show', MACHINE)).toMatchObject({ machine: MACHINE });
      expect(await platform.command('machine', 'show', 'nobody')).toMatchObject({ code: 66 });
      await ask<object>('machine', 'note', MACHINE, 'repair', '--text', 'new seal');
      expect(await ask<MachineEventView[]>('machine', 'history', MACHINE)).toMatchObject([
        { kind: 'repair', text: 'new seal', by: 'command-line' },
      ]);
    },
    TIMEOUT_MS,
  );
});

/** What a command prints with `--json`, once it has ended well. */
async function ask<Answer>(...given: readonly string[]): Promise<Answer> {
  const { code, stdout, stderr } = await platform.command(...given, '--json');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Answer;
}

function ruleFile(changes: object): string {
  return written('rule.json', JSON.stringify({ ...RULE, ...changes }));
}

function written(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

function modelWithMean(mean: number): Uint8Array {
  const levels = { kind: 'log-level-baseline', version: 1, features: ['rms_g'], mean: [mean], scale: [1] } as const;
  return encodeOnnxModel(healthGraph({ ...levels, trainedOn: 10, parameters: DEFAULT_INDICATOR_PARAMETERS }));
}

async function statusOfSending({ device, secret }: AddedDevice, machine: string): Promise<number> {
  const basic = Buffer.from(`${device.id}:${secret}`).toString('base64');
  const headers = { authorization: `Basic ${basic}`, 'content-type': 'application/json' };
  const message = { site: SITE, machine, messages: [{ ts: Date.now(), metrics: { rpm: 20 } }] };
  const answer = await request(platform, '/v1/telemetry', { method: 'POST', headers, body: JSON.stringify(message) });
  return answer.status;
}
