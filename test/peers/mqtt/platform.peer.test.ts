import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { machineKey, type MachineId, type SiteId, type TenantId } from '#core/domain/ids.ts';
import { PlatformProcess, SITE, TENANT, until } from '#test/support/platform-process.ts';
import { MosquittoDevice } from '../mosquitto-device.ts';
import { Mosquitto } from '../mosquitto.ts';

const TIMEOUT_MS = 120_000;
const MACHINE = 'm-0';
const KEY = machineKey(TENANT as TenantId, SITE as SiteId, MACHINE as MachineId);
const MESSAGES = 50;

let broker: Mosquitto;
let folder: string;
let platform: PlatformProcess;

beforeAll(async () => {
  broker = await Mosquitto.start();
  folder = mkdtempSync(join(tmpdir(), 'tribo-ports-'));
  const portsFile = join(folder, 'ports.json');
  const deviceGateway = { adapter: 'mqtt-device-gateway', ...broker.gatewaySettings('tribo-gateway-1') };
  writeFileSync(portsFile, JSON.stringify({ deviceGateway }));
  platform = await PlatformProcess.start({ env: { TRIBO_PORTS_FILE: portsFile, TRIBO_LOG_LEVEL: 'silent' } });
}, 300_000);

afterAll(async () => {
  await platform[Symbol.asyncDispose]();
  await broker[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('a platform whose devices are at a broker of the site', () => {
  it(
    'stores what a device with a certificate sends, exactly, also what came while it was killed, and brings it commands',
    async () => {
      const [login] = await platform.addDevices([MACHINE], 1);
      const id = login!.device;
      const device = await MosquittoDevice.connect(broker, { certificate: broker.deviceCertificate(id), as: id });
      const sendAll = async (from: number) => {
        const ids = Array.from({ length: MESSAGES }, (_, i) => `t-${from + i}`);
        await Promise.all(
          ids.map((each) =>
            device.publish(KEY, JSON.stringify({ id: each, ts: Date.now(), metrics: { temperature: 61 } })),
          ),
        );
      };
      await sendAll(0);
      const stored = async (count: number) =>
        until(`${count} readings are stored`, async () => (await platform.ledger()).stored === count);
      await stored(MESSAGES);
      await platform.kill();
      await sendAll(MESSAGES);
      await platform.startAgain();
      await stored(2 * MESSAGES);
      expect(await platform.drainedLedger()).toMatchObject({ exact: true, stored: 2 * MESSAGES });
      const commands: string[] = [];
      await device.onCommand(KEY, (payload) => commands.push(Buffer.from(payload).toString()));
      expect(await platform.command('device', 'command', id, '{"action":"restart"}')).toMatchObject({ code: 0 });
      await until('the command arrives', async () => commands.length === 1);
      expect(commands[0]).toContain('"restart"');
      device.client.end(true);
    },
    TIMEOUT_MS,
  );
});
