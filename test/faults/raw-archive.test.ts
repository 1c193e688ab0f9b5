import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { RawMessageView } from '#services/api-gateway/schemas/raw.ts';
import { allItems } from '#services/platform/cli/all-items.ts';
import { sendTelemetry, unreadiness } from '#test/support/edge-requests.ts';
import { acknowledgedIds, startLoad } from '#test/support/load-process.ts';
import { PlatformProcess, SITE, until } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 300_000;
const UNDER_LOAD = 1000;
const MACHINES = Array.from({ length: 10 }, (_, machine) => `m-${machine}`);

describe('the raw archive', () => {
  it(
    'gives every acknowledged message back, each once, after kill -9 of its process and of the whole tree under load',
    async () => {
      await using platform = await PlatformProcess.start({
        env: { TRIBO_LOG_LEVEL: 'error', TRIBO_RAW_ARCHIVE: 'on', TRIBO_RAW_ARCHIVE_EVERY_S: '1' },
      });
      const ackFile = join(platform.dataDir, 'acknowledged');
      await using load = startLoad({
        port: platform.mqttPort,
        connections: await platform.addDevices(MACHINES, 5),
        ...{ metrics: ['velocity_rms', 'rpm'], idPrefix: 'raw', maxInFlight: 50, ratePerS: 2000 },
        // Ended when the last kill is over.
        ...{ seconds: 240, drainSeconds: 20, reconnect: true, ackFile },
      });
      await load.begun(ackFile);
      for (const isWholeTree of [false, true, false]) {
        await untilUnderLoad(platform, ackFile);
        if (isWholeTree) {
          await platform.kill();
          await platform.startAgain();
        } else process.kill(platform.runningPid('timeseries-service'), 'SIGKILL');
      }
      await untilUnderLoad(platform, ackFile);
      await load.finish();
      await platform.drainedLedger();

      const acknowledged = acknowledgedIds(ackFile);
      let archived = new Map<string, RawMessageView[]>();
      await until('the archive has all of them', async () => {
        archived = Map.groupBy(await everything(platform), ({ eventId }) => eventId);
        return acknowledged.every((id) => archived.has(id));
      });
      expect([...archived.values()].filter((copies) => copies.length > 1)).toEqual([]);
      for (const [id, [message]] of archived) {
        expect(JSON.parse(message!.payload)).toMatchObject({ id, metrics: { rpm: expect.any(Number) } });
      }
      const { stdout } = await platform.command('raw', 'm-0', '--limit', '2');
      const printed = stdout.trim().split('\n');
      expect(printed.map((line) => (JSON.parse(line) as RawMessageView).machine)).toEqual(['m-0', 'm-0']);
      console.info(`${acknowledged.length} acknowledged, ${archived.size} in the archive`);
    },
    TIMEOUT_MS,
  );

  it(
    'that cannot be written is told by the platform, which goes on, and has every message once it can be',
    async () => {
      await using platform = await PlatformProcess.start({
        env: { TRIBO_LOG_LEVEL: 'silent', TRIBO_RAW_ARCHIVE: 'on', TRIBO_RAW_ARCHIVE_EVERY_S: '1' },
      });
      for (const id of MACHINES)
        await platform.api.request('PUT', `/v1/machines/${id}?site=${SITE}`, { id, class: 'other' });
      const inTheWay = join(platform.dataDir, 'objects', 'raw');
      mkdirSync(join(platform.dataDir, 'objects'), { recursive: true });
      writeFileSync(inTheWay, '');
      const told = async () => Object.values(await unreadiness(platform)).join();
      for (const [id, machine] of MACHINES.entries()) {
        const sent = await sendTelemetry(platform, machine, [{ id: `m${id}`, ts: Date.now(), metrics: { rpm: id } }]);
        expect(sent).toMatchObject({ status: 202, body: { accepted: 1 } });
      }
      await until('it says why', async () => (await told()).includes('cannot archive metrics: '));
      expect(await platform.drainedLedger()).toMatchObject({ exact: true, stored: MACHINES.length });
      rmSync(inTheWay);
      await until('all is archived', async () => (await everything(platform)).length === MACHINES.length);
      await until('nothing is told any more', async () => (await told()) === '');
    },
    TIMEOUT_MS,
  );
});

async function everything({ api }: PlatformProcess): Promise<RawMessageView[]> {
  const messages: RawMessageView[] = [];
  for (const machine of MACHINES)
    messages.push(...(await allItems<RawMessageView>(api, `/v1/raw?machine=${machine}&site=${SITE}`)));
  return messages;
}

async function untilUnderLoad(platform: PlatformProcess, ackFile: string): Promise<void> {
  const before = acknowledgedIds(ackFile).length;
  await until(
    'the load goes on, and the archive with it',
    async () =>
      acknowledgedIds(ackFile).length > before + UNDER_LOAD && platform.pidOf('timeseries-service') !== undefined,
  );
}
