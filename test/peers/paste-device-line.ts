import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { DeviceConnection } from '#core/ports/device-gateway.ts';
import type { Device } from '#core/ports/device-registry.ts';
import { deviceUsage } from '#services/platform/cli/device-usage.ts';

const WITHIN_MS = 60_000;
const run = promisify(execFile);

interface PastedInto {
  /** Files of the folder that the shell is in. */
  readonly files?: Readonly<Record<string, string>>;
  /** What the machine is to have instead of its own, for this shell alone. */
  readonly machine?: {
    /** PEM of the authority that it trusts. */
    readonly authority: string;
    /** A host that it knows, and its address. */
    readonly host?: { readonly name: string; readonly address: string };
  };
}

/** Runs the line for MQTT that `tribo device add` prints for a device, as it is pasted into a shell. */
export async function pasteDeviceLine(
  device: Device,
  secret: string,
  connection: DeviceConnection,
  { files = {}, machine }: PastedInto = {},
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tribo-device-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const line = printedLine(device, secret, connection);
    const [program, ...given] = machine === undefined ? ['sh', '-c', line] : await onMachine(machine, line, folder);
    await run(program!, given, { cwd: folder, timeout: WITHIN_MS });
  } finally {
    rmSync(folder, { recursive: true });
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

/** A shell with mounts of its own, over Debian's folder of authorities and the file of hosts. */
async function onMachine(
  { authority, host }: NonNullable<PastedInto['machine']>,
  line: string,
  folder: string,
): Promise<readonly string[]> {
  const [authorities, hosts] = [join(folder, 'authorities'), join(folder, 'hosts')];
  mkdirSync(authorities);
  writeFileSync(join(authorities, 'authority.pem'), authority);
  await run('openssl', ['rehash', authorities]);
  writeFileSync(hosts, `127.0.0.1 localhost\n${host === undefined ? '' : `${host.address} ${host.name}\n`}`);
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user'];
  const mounts = `mount --bind ${authorities} /etc/ssl/certs && mount --bind ${hosts} /etc/hosts`;
  return ['unshare', '--mount', ...asRoot, 'sh', '-c', `${mounts} && ${line.trim()}`];
}
