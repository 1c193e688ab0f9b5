import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { PortError } from '#core/errors.ts';
import { readFrames, writeFrame } from './frames.ts';
import { MAX_CALLS_UNDER_WAY, type Request, type Response } from './messages.ts';
import { connectPort, type Connected } from './port-client.ts';
import { methodsOf, servePort, type PortServer } from './port-server.ts';

interface Echo {
  echo(value: unknown): Promise<unknown>;
  refuse(): Promise<never>;
  wait(options: { signal?: AbortSignal }): Promise<string>;
  pid(): Promise<number>;
  columns(): Promise<{ ts: Float64Array }>;
}

/** For a server that is there: a busy machine may let it answer late. */
const PATIENCE_MS = 30_000;

let folder: string;
let path: string;
let server: PortServer | undefined;
let client: (Echo & Connected) | undefined;
let child: ChildProcess | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tribo-rpc-'));
  path = join(folder, 'echo.sock');
});

afterEach(async () => {
  client?.disconnect();
  await server?.close();
  child?.kill('SIGKILL');
  client = server = child = undefined;
  rmSync(folder, { recursive: true });
});

let abortedOnServer = false;
async function serve(): Promise<Echo> {
  abortedOnServer = false;
  server = await servePort(path, 'echo', {
    echo: (value: unknown) => value,
    refuse: () => {
      throw new PortError('already_exists', 'there is one');
    },
    wait: ({ signal }: { signal: AbortSignal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          abortedOnServer = true;
          reject(new Error('aborted'));
        });
      }),
  });
  client = connectPort<Echo>(path, 'echo', { waitMs: PATIENCE_MS });
  return client;
}

describe('a port over a socket', () => {
  it.each([
    ['an object with undefined', { a: 1, b: undefined, c: [null, 'x'] }],
    ['a Map', new Map([['tenant', { stored: 3 }]])],
    ['bytes', new Uint8Array([0, 255, 128])],
    ['a large value', 'x'.repeat(5_000_000)],
    ['a number beyond 32 bits', 1_795_222_800_123],
  ])('carries %s there and back', async (_name, value) => {
    const echo = await serve();
    const back = await echo.echo(value);
    expect(value instanceof Uint8Array ? new Uint8Array(back as Uint8Array) : back).toEqual(value);
  });

  it('may be opened by its owner alone', async () => {
    await serve();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('keeps the code and message of a port error', async () => {
    const echo = await serve();
    await expect(echo.refuse()).rejects.toMatchObject({
      name: 'PortError',
      code: 'already_exists',
      message: 'there is one',
    });
  });

  it('stops waiting on abort, and tells the server', async () => {
    const echo = await serve();
    const controller = new AbortController();
    const call = echo.wait({ signal: controller.signal });
    setTimeout(() => controller.abort(), 20);
    await expect(call).rejects.toMatchObject({ code: 'cancelled' });
    await echo.echo(1);
    expect(abortedOnServer).toBe(true);
  });

  it('stops waiting on abort while the server is away', async () => {
    client = connectPort<Echo>(path, 'echo', { waitMs: PATIENCE_MS });
    const signal = AbortSignal.timeout(50);
    await expect(client.wait({ signal })).rejects.toMatchObject({ code: 'cancelled' });
  });

  it.each([
    ['bytes that are no MessagePack', Buffer.from([0, 0, 0, 2, 0xc1, 0xc1])],
    ['a length above the limit', Buffer.from([0xff, 0xff, 0xff, 0xff])],
  ])('ends the connection that sends %s, and serves the others', async (_name, bytes) => {
    const echo = await serve();
    const stranger = connect(path);
    stranger.on('error', () => undefined);
    stranger.write(bytes);
    await once(stranger, 'close');
    expect(await echo.echo('still here')).toBe('still here');
  });

  describe('from a client that keeps to nothing', () => {
    const call = (id: number, method: string, given: readonly unknown[] = []): Request => ({
      ...{ type: 'call', id, method, arguments: given, withSignal: method === 'wait' },
    });
    const wait = (id: number): Request => call(id, 'wait', [{}]);

    async function stranger(): Promise<Socket> {
      const socket = connect(path);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      return socket;
    }

    async function sendAll(socket: Socket, requests: Iterable<Request>): Promise<void> {
      for (const request of requests) await writeFrame(socket, request);
    }

    function* waits(count: number): Iterable<Request> {
      for (let id = 1; id <= count; id++) yield wait(id);
    }

    it('takes so many calls at once, refuses more, and takes others once some have ended', async () => {
      const echo = await serve();
      const socket = await stranger();
      const answers: Response[] = [];
      readFrames(socket, (value) => answers.push(value as Response));
      const oneMore = MAX_CALLS_UNDER_WAY + 1;
      await sendAll(socket, [...waits(oneMore), call(oneMore + 1, 'echo', ['too'])]);
      await until(() => answers.length === 2);
      for (const [index, answer] of answers.entries())
        expect(answer).toMatchObject({ type: 'error', id: oneMore + index, code: 'resource_exhausted' });
      expect(await echo.echo('of another connection')).toBe('of another connection');
      await writeFrame(socket, { type: 'cancel', id: 1 } satisfies Request);
      await until(() => answers.length === 3);
      await writeFrame(socket, call(oneMore + 2, 'echo', ['now']));
      await until(() => answers.length === 4);
      expect(answers[3]).toEqual({ type: 'result', id: oneMore + 2, value: 'now' });
      socket.destroy();
    });

    it('counts calls that go on although they were cancelled, and says so', async () => {
      server = await servePort(path, 'deaf', { wait: () => new Promise(() => undefined) });
      const socket = await stranger();
      const answers: Response[] = [];
      readFrames(socket, (value) => answers.push(value as Response));
      await sendAll(socket, waits(MAX_CALLS_UNDER_WAY));
      for (let id = 1; id <= MAX_CALLS_UNDER_WAY; id++) await writeFrame(socket, { type: 'cancel', id });
      await writeFrame(socket, wait(MAX_CALLS_UNDER_WAY + 1));
      await until(() => answers.length > 0);
      expect(answers).toEqual([
        {
          ...{ type: 'error', id: MAX_CALLS_UNDER_WAY + 1, code: 'resource_exhausted' },
          message:
            '10000 calls of this connection are under way, with those that go on although they were cancelled: call wait again when some have ended',
        },
      ]);
      socket.destroy();
    });

    it.each([
      ['that calls on without reading what it is told', () => waits(4 * MAX_CALLS_UNDER_WAY)],
      ['that names two calls by one number', () => [wait(7), wait(7)]],
    ])('ends the connection of one %s, and serves the others', async (_what, requests) => {
      const echo = await serve();
      const socket = await stranger();
      const ended = new Promise((resolve) => socket.once('close', resolve));
      await Promise.all([ended, sendAll(socket, requests())]);
      expect(await echo.echo('still here')).toBe('still here');
    });
  });

  it.each([
    ...['constructor', '__defineGetter__', '__proto__', 'hasOwnProperty', 'toString', 'valueOf', 'isPrototypeOf'],
    ...['', 'secret', 'inherited', 'counted'],
  ])('calls what is offered alone, not %j', async (method) => {
    class Port {
      readonly counted = 3;
      offered() {
        return this.inherited();
      }
      inherited() {
        return 'by its own object';
      }
    }
    server = await servePort(path, 'port', { ...methodsOf(new Port(), ['offered']), counted: 3 });
    const called = connectPort<Record<string, () => Promise<unknown>> & Connected>(path, 'port', {
      waitMs: PATIENCE_MS,
    });
    client = called as unknown as Echo & Connected;
    expect(await called['offered']!()).toBe('by its own object');
    await expect(called[method]!()).rejects.toMatchObject({
      ...{ code: 'unimplemented', message: `port has no method ${method}` },
    });
  });

  it('answers many calls at once, each with its own', async () => {
    const echo = await serve();
    const values = Array.from({ length: 500 }, (_, i) => i);
    expect(await Promise.all(values.map((value) => echo.echo(value)))).toEqual(values);
  });

  it('says unimplemented for what the other side does not have', async () => {
    const echo = (await serve()) as Echo & { other(): Promise<void> };
    await expect(echo.other()).rejects.toMatchObject({ code: 'unimplemented' });
  });

  it('fails with unavailable within its bound where nobody listens', async () => {
    client = connectPort<Echo>(path, 'echo', { waitMs: 100 });
    await expect(client.echo(1)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('carries typed arrays between processes, and goes on by itself after the server was killed and started again', async () => {
    const start = async (): Promise<void> => {
      child = fork(fileURLToPath(new URL('./rpc-test-child.ts', import.meta.url)), [path], { execArgv: [] });
      await once(child, 'message');
    };
    await start();
    client = connectPort<Echo>(path, 'echo', { waitMs: PATIENCE_MS });
    const firstPid = await client.pid();
    expect(await client.columns()).toEqual({ ts: new Float64Array([1.5, 2.5]) });
    const cut = client.wait({});
    child?.kill('SIGKILL');
    await expect(cut).rejects.toMatchObject({ code: 'unavailable' });
    await start();
    expect(await client.pid()).not.toBe(firstPid);
  });

  it('gives up a server that hangs, but no call that takes long, and goes on when it goes on', async () => {
    child = fork(fileURLToPath(new URL('./rpc-test-child.ts', import.meta.url)), [path], { execArgv: [] });
    await once(child, 'message');
    client = connectPort<Echo>(path, 'echo', { waitMs: PATIENCE_MS, silentMs: 2000 });
    const pid = await client.pid();
    const long = client.wait({ signal: AbortSignal.timeout(3000) });
    await expect(long).rejects.toMatchObject({ code: 'cancelled' });
    process.kill(pid, 'SIGSTOP');
    await expect(client.pid()).rejects.toMatchObject({ code: 'unavailable' });
    process.kill(pid, 'SIGCONT');
    expect(await client.pid()).toBe(pid);
  });
});
