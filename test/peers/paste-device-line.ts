import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DeviceConnection } from '#core/ports/device-gateway.ts';
import type { Device } from '#core/ports/device-registry.ts';
import { deviceUsage } from '#services/platform/cli/device-usage.ts';

const WITHIN_MS = 60_000;

interface PastedInto {
  /** Files of the folder that the shell is in. */
  readonly files?: Readonly<Record<string, string>>;
  /** PEM of what the system trusts, in place of what it does. */
  readonly trusted?: string;
  /** A host that it knows, and its address. */
  readonly host?: { readonly name: string; readonly address: string };
}

/** Runs the line for MQTT that `tribo device add` prints for a device, as it is pasted into a shell. */
export async function pasteDeviceLine(
  device: Device,
  secret: string,
  connection: DeviceConnection,
  { files = {}, trusted, host }: PastedInto = {},
): Promise<void> {
  const cwd = mkdtempSync(join(tmpdir(), 'tribo-device-'));
  try {
    for (const [name, text] of Object.entries({ ...files, 'trusted.pem': trusted ?? '' }))
      writeFileSync(join(cwd, name), text);
    const env = { ...process.env, ...(trusted !== undefined && { SSL_CERT_FILE: join(cwd, 'trusted.pem') }) };
    const line = printedLine(device, secret, connection);
    const command = host === undefined ? ['sh', '-c', line] : knowing(host, line, cwd);
    await promisify(execFile)(command[0]!, command.slice(1), { cwd, env, timeout: WITHIN_MS });
  } finally {
    rmSync(cwd, { recursive: true });
  }
}

function printedLine({ id, machines }: Device, secret: string, connection: DeviceConnection): string {
  const [telemetryTopics, commandTopics] = [[...connection.telemetryTopics], [...connection.commandTopics]];
  const places = machines.map((key) => key.split('/')).map(([, site = '', machine = '']) => ({ site, machine }));
  const printed = deviceUsage(
    {
      device: { id, machines: places, enabled: true, createdMs: 0 },
      ...{ secret, topics: telemetryTopics, connection: { ...connection, telemetryTopics, commandTopics } },
    },
    { apiUrl: 'http://127.0.0.1:8080', broker: new URL('mqtt://127.0.0.1:1883'), caFile: undefined },
  );
  return printed.split('\n').find((each) => each.includes('mosquitto_pub'))!;
}

/** A shell with a file of hosts that is its own. */
function knowing({ name, address }: NonNullable<PastedInto['host']>, line: string, folder: string): readonly string[] {
  const hosts = join(folder, 'hosts');
  writeFileSync(hosts, `127.0.0.1 localhost\n${address} ${name}\n`);
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  return ['unshare', '--mount', ...asRoot, 'sh', '-c', `mount --bind ${hosts} /etc/hosts && ${line.trim()}`];
}
