import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import mqttPacket from 'mqtt-packet';
import { PlatformProcess, SITE, type DeviceLogin } from '#test/support/platform-process.ts';
import {
  bytesGiven,
  parseStrace,
  Strace,
  tooEarly,
  type DurabilityClaim,
  type SystemCall,
} from '#test/support/strace.ts';

/*
 * kill -9 leaves the page cache, so it can't see a missing sync. Here the platform's system calls are watched instead: for each PUBACK and
 * each 202, the message's bytes were written to the log, synced, and the log's root written synchronously, all before the acknowledgement
 * was handed to the kernel.
 */

const LOG = /\/streams\/metrics\/log\/data\.mdb$/;
const PIPELINED = 3000;
const ONE_BY_ONE = 40;
const POSTS = 20;

describe('under strace, an acknowledgement follows the fdatasync that covers it', () => {
  it('pipelined, one by one, and by HTTP', async () => {
    await using platform = await PlatformProcess.start();
    const [first, second] = await platform.addDevices(['m-0', 'm-1'], 2);
    if (!first || !second) throw new Error('two devices were added');
    const pipelined = await Device.connect(platform.mqttPort, first);
    const single = await Device.connect(platform.mqttPort, second);
    const strace = await Strace.attach(platform.pid, join(platform.dataDir, 'strace'));

    const ids = new Map<number, string>();
    const many = Array.from({ length: PIPELINED }, (_, i) => i + 1);
    for (const packetId of many) ids.set(packetId, `pipelined-${packetId}-`);
    const half = pipelined.publish(many.map((packetId) => [packetId, ids.get(packetId) ?? '']));
    for (let i = 0; i < ONE_BY_ONE; i++) {
      const packetId = 50_000 + i;
      ids.set(packetId, `single-${packetId}-`);
      await single.publish([[packetId, ids.get(packetId) ?? '']]);
    }
    await half;
    const posted: string[] = [];
    for (let i = 0; i < POSTS; i++) {
      const id = `posted-${i}-`;
      posted.push(id);
      const messages = [{ id, ts: Date.now(), metrics: { temperature: i } }];
      await platform.api.request('POST', '/v1/telemetry', { site: SITE, machine: 'm-0', messages });
    }
    const calls = await strace.detach();
    for (const device of [pipelined, single]) device.close();

    const pubacks = acknowledgedPackets(calls).map(({ packetId, by }) => ({
      message: ids.get(packetId) ?? `packet ${packetId}`,
      acknowledgedBy: by,
    }));
    const accepted = calls.filter((call) => isSocket(call) && bytesGiven(call).includes('HTTP/1.1 202'));
    const answers = accepted.map((by, i) => ({ message: posted[i] ?? `answer ${i}`, acknowledgedBy: by }));
    expect(pubacks).toHaveLength(PIPELINED + ONE_BY_ONE);
    expect(new Set(pubacks.map(({ message }) => message)).size).toBe(PIPELINED + ONE_BY_ONE);
    expect(answers).toHaveLength(POSTS);
    // One sync a message would be as safe, and a tenth as fast: the pipelined ones share theirs.
    expect(calls.filter(({ name, target }) => name === 'fdatasync' && LOG.test(target)).length).toBeLessThan(
      PIPELINED / 4,
    );

    const isSynchronous = synchronousDescriptors(platform.pid);
    expect(tooEarly(calls, [...pubacks, ...answers], (target) => LOG.test(target), isSynchronous)).toEqual([]);
  });
});

describe('what the test would see', () => {
  const write = '1  pwrite64(28</d/streams/metrics/log/data.mdb>, "\\1\\0message-1\\0", 4096, 0) = 4096';
  const sync = '2  fdatasync(28</d/streams/metrics/log/data.mdb>) = 0';
  const root = '2  pwrite64(29</d/streams/metrics/log/data.mdb>, "\\0", 120, 4096) = 120';
  const puback = '1  write(39<socket:[7]>, "@\\2\\0\\1", 4) = 4';
  const begins = '2  fdatasync(28</d/streams/metrics/log/data.mdb> <unfinished ...>';
  const ends = '2  <... fdatasync resumed>) = 0';

  it.each<[what: string, lines: readonly string[], early: boolean]>([
    ['written, synced, rooted, acknowledged', [write, sync, root, puback], false],
    ['a sync that ends before the root is written', [write, begins, ends, root, puback], false],
    ['an acknowledgement before the sync', [write, puback, sync, root], true],
    ['an acknowledgement during the sync', [write, begins, puback, ends, root], true],
    ['an acknowledgement before the root', [write, sync, puback, root], true],
    ['a sync before the write', [sync, write, root, puback], true],
    ['no sync', [write, root, puback], true],
    ['no root', [write, sync, puback], true],
    ['a sync that failed', [write, sync.replace('= 0', '= -1 EIO (Input/output error)'), root, puback], true],
    ['another file synced', [write, sync.replace('metrics', 'features'), root, puback], true],
    ['no write at all', [sync, root, puback], true],
  ])('%s', (_what, lines, early) => {
    const calls = parseStrace(lines.join('\n'));
    const claims: DurabilityClaim[] = acknowledgedPackets(calls).map(({ by }) => ({
      message: 'message-1',
      acknowledgedBy: by,
    }));
    expect(claims).toHaveLength(1);
    const found = tooEarly(
      calls,
      claims,
      (target) => LOG.test(target),
      (fd) => fd === 29,
    );
    expect(found).toEqual(early ? ['message-1'] : []);
  });
});

function isSocket({ target }: SystemCall): boolean {
  return target.startsWith('socket:') || target.startsWith('TCP');
}

/** PUBACKs among what was written to sockets: 0x40 0x02 and the packet id, any number of them in one call and nothing else. */
function acknowledgedPackets(calls: readonly SystemCall[]): { readonly packetId: number; readonly by: SystemCall }[] {
  return calls.filter(isSocket).flatMap((by) => {
    const bytes = bytesGiven(by);
    if (bytes.length === 0 || bytes.length % 4 !== 0 || bytes.readUInt16BE(0) !== 0x4002) return [];
    return Array.from({ length: bytes.length / 4 }, (_, i) => ({ packetId: bytes.readUInt16BE(4 * i + 2), by }));
  });
}

/** Descriptors of the process that were opened with O_DSYNC. */
function synchronousDescriptors(pid: number): (fd: number) => boolean {
  const known = new Map<number, boolean>();
  return (fd) => {
    let synchronous = known.get(fd);
    if (synchronous === undefined) {
      const info = readFileSync(`/proc/${pid}/fdinfo/${fd}`, 'utf8');
      synchronous = (Number.parseInt(/^flags:\s*(\d+)/m.exec(info)?.[1] ?? '0', 8) & 0o10000) !== 0;
      known.set(fd, synchronous);
    }
    return synchronous;
  };
}

/** A device that chooses its packet ids. */
class Device {
  readonly #socket: Socket;
  readonly #topic: string;
  readonly #waiting = new Set<number>();

  static async connect(port: number, { device, secret, topics }: DeviceLogin): Promise<Device> {
    const socket = connect(port, '127.0.0.1');
    const login = {
      cmd: 'connect',
      clientId: device,
      username: device,
      password: Buffer.from(secret),
      clean: true,
    } as const;
    socket.write(mqttPacket.generate({ ...login, keepalive: 0 }));
    await once(socket, 'data');
    return new Device(socket, topics[0] ?? '');
  }

  private constructor(socket: Socket, topic: string) {
    this.#socket = socket;
    this.#topic = topic;
    let rest = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      for (; rest.length >= 4; rest = rest.subarray(4)) this.#waiting.delete(rest.readUInt16BE(2));
    });
  }

  /** Sends all at once; resolves when each is acknowledged. */
  async publish(messages: readonly (readonly [packetId: number, id: string])[]): Promise<void> {
    for (const [messageId, id] of messages) {
      this.#waiting.add(messageId);
      const payload = JSON.stringify({ id, ts: Date.now(), metrics: { temperature: 61, current: 4.2 } });
      const publish = { cmd: 'publish', topic: this.#topic, payload, qos: 1, dup: false, retain: false } as const;
      this.#socket.write(mqttPacket.generate({ ...publish, messageId }));
    }
    while (messages.some(([packetId]) => this.#waiting.has(packetId))) await sleep(2);
  }

  close(): void {
    this.#socket.destroy();
  }
}
