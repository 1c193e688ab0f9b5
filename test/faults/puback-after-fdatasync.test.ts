import { hash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import mqttPacket from 'mqtt-packet';
import { saidTooEarly, writeOf } from '#test/support/object-durability.ts';
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
 * was handed to the kernel. Of a waveform the samples are a file that was synced, and so was its folder, before the log was given the
 * reference; an acknowledged part of one is such a file.
 */

const LOG = /\/streams\/metrics\/log\/data\.mdb$/;
const WAVEFORM_LOG = /\/streams\/raw-waveform\/log\/data\.mdb$/;
const PIPELINED = 3000;
const ONE_BY_ONE = 40;
const POSTS = 20;
const WAVEFORMS = 12;
const IN_PARTS = 4;

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
    await answerOnceMore(platform);
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

describe('under strace, a waveform is acknowledged after its samples and its reference are synced, in that order', () => {
  it('pipelined, in parts, and by HTTP', async () => {
    await using platform = await PlatformProcess.start();
    const [login] = await platform.addDevices(['m-0'], 1);
    if (!login) throw new Error('a device was added');
    const device = await Device.connect(platform.mqttPort, login);
    const strace = await Strace.attach(platform.pid, join(platform.dataDir, 'strace'));

    const whole = Array.from({ length: WAVEFORMS }, (_, i) => ({ packetId: i + 1, message: `whole-${i}-` }));
    await device.publishWaveforms(whole.map(({ packetId, message }) => [packetId, waveformOf(message)]));
    const inParts = Array.from({ length: IN_PARTS }, (_, i) => ({
      packetIds: [1000 + 2 * i, 1001 + 2 * i],
      messages: [`first-part-${i}-`, `second-part-${i}-`],
    }));
    for (const [i, { packetIds, messages }] of inParts.entries()) {
      for (const [at, message] of messages.entries()) {
        const part = { ...waveformOf(message), id: `in-parts-${i}`, ts: T0 + i, part: at + 1, parts: messages.length };
        await device.publishWaveforms([[packetIds[at]!, part]]);
      }
    }
    const posted = Array.from({ length: POSTS }, (_, i) => `posted-${i}-`);
    for (const message of posted) await postWaveform(platform, message);
    await answerOnceMore(platform);
    const calls = await strace.detach();
    device.close();

    const pubacks = new Map(acknowledgedPackets(calls).map(({ packetId, by }) => [packetId, by]));
    const accepted = calls.filter((call) => isSocket(call) && bytesGiven(call).includes('HTTP/1.1 202'));
    expect([pubacks.size, accepted.length]).toEqual([WAVEFORMS + 2 * IN_PARTS, POSTS]);

    const waveforms = [
      ...whole.map(({ packetId, message }) => ({ bytes: samplesOf(message), message, by: pubacks.get(packetId) })),
      ...inParts.map(({ packetIds, messages }) => ({
        bytes: Buffer.concat(messages.map(samplesOf)),
        message: messages[1] ?? '',
        by: pubacks.get(packetIds[1] ?? 0),
      })),
      ...posted.map((message, i) => ({ bytes: samplesOf(message), message, by: accepted[i] })),
    ];
    const isSynchronous = synchronousDescriptors(platform.pid);
    const isLog = (target: string) => WAVEFORM_LOG.test(target);
    const references = waveforms.map(({ bytes, by }) => ({ message: sha256(bytes), acknowledgedBy: by! }));
    expect(tooEarly(calls, references, isLog, isSynchronous)).toEqual([]);
    const samples = waveforms.map(({ bytes, message }) => {
      return { message, folder: '/objects/waveforms/', before: writeOf(calls, sha256(bytes), isLog) };
    });
    expect(saidTooEarly(calls, samples)).toEqual([]);
    const parts = inParts.flatMap(({ packetIds, messages }) =>
      messages.map((message, at) => {
        return { message, folder: '/objects/parts/', before: pubacks.get(packetIds[at] ?? 0) };
      }),
    );
    expect(saidTooEarly(calls, parts)).toEqual([]);
  });
});

describe('what the test would see of an object', () => {
  const write = '1  write(30</d/objects/.incoming/x>, "message-1", 9) = 9';
  const sync = '1  fdatasync(30</d/objects/.incoming/x>) = 0';
  const rename = '1  rename("/d/objects/.incoming/x", "/d/objects/parts/m/1") = 0';
  const linkBegins = '2  link("/d/objects/.incoming/x", "/d/objects/parts/m/1" <unfinished ...>';
  const linkEnds = '2  <... link resumed>) = 0';
  const folder = '1  fsync(31</d/objects/parts/m>) = 0';
  const puback = '1  write(39<socket:[7]>, "@\\2\\0\\1", 4) = 4';

  it.each<[what: string, lines: readonly string[], early: boolean]>([
    ['written, synced, named, its folder synced, acknowledged', [write, sync, rename, folder, puback], false],
    ['linked instead of renamed', [write, sync, linkBegins, linkEnds, folder, puback], false],
    ['a folder synced before the link is made', [write, sync, linkBegins, folder, linkEnds, puback], true],
    ['an acknowledgement before the folder is synced', [write, sync, rename, puback, folder], true],
    ['another folder synced', [write, sync, rename, folder.replace('/m>', '/n>'), puback], true],
    ['a file that was not synced', [write, rename, folder, puback], true],
    ['a file that was synced after it was named', [write, rename, sync, folder, puback], true],
    ['bytes written after the sync', [write, sync, write, rename, folder, puback], true],
    ['a link that failed', [write, sync, rename.replace('= 0', '= -1 EEXIST (File exists)'), folder, puback], true],
    ['no acknowledgement', [write, sync, rename, folder], true],
  ])('%s', (_what, lines, early) => {
    const calls = parseStrace(lines.join('\n'));
    const claim = { message: 'message-1', folder: '/objects/parts/', before: acknowledgedPackets(calls)[0]?.by };
    expect(saidTooEarly(calls, [claim])).toEqual(early ? ['message-1'] : []);
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

const T0 = Date.now();

/** Samples that can be found again in a file: any text is 16-bit samples. */
function samplesOf(message: string): Buffer {
  return Buffer.from(message.repeat(2 * Math.ceil(2048 / message.length)));
}

function waveformOf(message: string) {
  const samples = samplesOf(message).toString('base64');
  return { id: message, ts: T0, sampleRateHz: 1000, unit: 'g', encoding: 'i16le', scale: 0.001, samples };
}

async function postWaveform({ url, api }: PlatformProcess, message: string): Promise<void> {
  const { samples: _samples, ...described } = waveformOf(message);
  const query = new URLSearchParams({ site: SITE, machine: 'm-0', sensor: 'de' });
  for (const [name, value] of Object.entries(described)) query.set(name, String(value));
  const response = await fetch(new URL(`/v1/waveforms?${query.toString()}`, url), {
    method: 'POST',
    headers: { authorization: `Bearer ${api.token}`, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(samplesOf(message)),
  });
  expect(response.status).toBe(202);
}

/** A call that strace was about to note when it is told to leave would be lost: whoever answers again has had all before noted. */
async function answerOnceMore({ url }: PlatformProcess): Promise<void> {
  const response = await fetch(new URL('/health/live', url));
  expect(response.status).toBe(200);
  await response.text();
}

function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes, 'hex');
}

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
  publish(messages: readonly (readonly [packetId: number, id: string])[]): Promise<void> {
    const values = messages.map(([packetId, id]) => {
      return [packetId, { id, ts: Date.now(), metrics: { temperature: 61, current: 4.2 } }] as const;
    });
    return this.#publish(this.#topic, values);
  }

  /** As {@link publish}, of one sensor. */
  publishWaveforms(messages: readonly (readonly [packetId: number, waveform: object])[]): Promise<void> {
    return this.#publish(this.#topic.replace(/telemetry$/, 'waveform/de'), messages);
  }

  async #publish(topic: string, messages: readonly (readonly [packetId: number, value: object])[]): Promise<void> {
    for (const [messageId, value] of messages) {
      this.#waiting.add(messageId);
      const payload = JSON.stringify(value);
      const publish = { cmd: 'publish', topic, payload, qos: 1, dup: false, retain: false } as const;
      this.#socket.write(mqttPacket.generate({ ...publish, messageId }));
    }
    while (messages.some(([packetId]) => this.#waiting.has(packetId))) await sleep(2);
  }

  close(): void {
    this.#socket.destroy();
  }
}
