import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { until } from '#core/contracts/until.ts';
import {
  another,
  call,
  cleanUp,
  key,
  NOTHING_OR_ALERT,
  openLink,
  origins,
  PATIENCE,
  refusals,
  tellRefusal,
} from '#test/support/service-links.ts';
import type { FrontEndNews, FrontEndOrder } from './front-end-test-child.ts';
import { LinkServer } from './link-server.ts';
import type { ServiceLink, ServiceLinkOptions } from './service-link.ts';

async function copyNamed(name: string, withKey = key): Promise<LinkServer & { readonly release: () => void }> {
  const waiting = Promise.withResolvers<string>();
  const server = await LinkServer.open({ port: 0, over: 'websocket', key: withKey, warn: tellRefusal });
  server.offer('echo', { name: () => name, wait: () => waiting.promise, same: (value: unknown) => value });
  cleanUp.push(() => server.close());
  return Object.assign(server, { release: () => waiting.resolve(`${name}, in the end`) });
}

/** In a process of its own, as one that is held or killed has to be. */
class FrontEnd {
  readonly process: ChildProcess;
  taken = 0;
  refused = 0;
  open = 0;

  static async before(copies: readonly LinkServer[]): Promise<FrontEnd & { readonly url: string }> {
    const path = fileURLToPath(new URL('./front-end-test-child.ts', import.meta.url));
    const child = fork(
      path,
      copies.map(({ port }) => String(port)),
      { execArgv: [] },
    );
    const frontEnd = new FrontEnd(child);
    const [news] = (await once(child, 'message')) as [FrontEndNews];
    if (news.is !== 'listening') throw new Error(`the front end is ${news.is}, not listening`);
    return Object.assign(frontEnd, { url: `ws://127.0.0.1:${news.port}/links` });
  }

  private constructor(child: ChildProcess) {
    this.process = child;
    child.on('message', (news: FrontEndNews) => {
      if (news.is === 'passing') ({ taken: this.taken, refused: this.refused, open: this.open } = news);
    });
    cleanUp.push(async () => {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    });
  }

  async tell(order: FrontEndOrder): Promise<void> {
    const done = new Promise<void>((resolve) => {
      const listen = (news: FrontEndNews): void => {
        if (news.is !== 'done') return;
        this.process.off('message', listen);
        resolve();
      };
      this.process.on('message', listen);
    });
    this.process.send(order);
    await done;
  }
}

function linkTo(url: string, further: Partial<ServiceLinkOptions> = {}): ServiceLink {
  return openLink([{ url }], further);
}

/** What is rare at last happens in no test. */
const SOON = { probeSoonMs: 1, probeMs: 3_600_000 };
/** Where one copy is known. */
const PROBES_SOON = 9;

describe('a link through WebSockets', () => {
  it('finds the copies behind a front end of HTTP, and keeps one connection to each', async () => {
    const frontEnd = await FrontEnd.before([await copyNamed('one'), await copyNamed('two')]);
    const link = linkTo(frontEnd.url, { probeMs: 20 });
    await until(() => link.copies.length === 2);
    const before = frontEnd.taken;
    await until(() => frontEnd.taken > before + 2);
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await link.call(call, PATIENCE));
    expect(answers.toSorted()).toEqual(['one', 'one', 'two', 'two']);
    expect(link.copies).toHaveLength(2);
  });

  it('finds all copies soon, and again after connections were lost', async () => {
    const frontEnd = await FrontEnd.before([await copyNamed('one'), await copyNamed('two')]);
    const link = linkTo(frontEnd.url, SOON);
    for (const lost of ['the first', 'the other one', 'the first again']) {
      await until(() => link.copies.length === 2, `two copies before ${lost} is lost`);
      let isLost = false;
      for (const copy of link.copies) copy.call({ ...call, method: 'wait' }).catch(() => (isLost = true));
      await until(async () => {
        await frontEnd.tell({ do: 'cut', only: 'oldest' });
        return isLost;
      });
    }
    await until(() => link.copies.length === 2);
  });

  it('looks for further copies ever more rarely where it finds none', async () => {
    const frontEnd = await FrontEnd.before([await copyNamed('one')]);
    const startedMs = performance.now();
    linkTo(frontEnd.url, SOON);
    const atFirst = 1 + PROBES_SOON;
    await until(() => frontEnd.taken >= atFirst + 8);
    // Each pause of those that follow is twice as long as the one before.
    const pauses = Math.log2((performance.now() - startedMs) / SOON.probeSoonMs + 1);
    expect(frontEnd.taken).toBeLessThanOrEqual(atFirst + pauses);
  });

  it('carries what is larger than a message, several at a time', async () => {
    const frontEnd = await FrontEnd.before([await copyNamed('one')]);
    const link = linkTo(frontEnd.url);
    const texts = ['a', 'b', 'c'].map((letter) => letter.repeat(4_000_000));
    const answers = await Promise.all(
      texts.map((text) => link.call({ ...call, method: 'same', given: [text] }, PATIENCE)),
    );
    expect(answers.map((answer, index) => answer === texts[index])).toEqual([true, true, true]);
  });

  it('has another connection before one is too old, and fails no call for that', async () => {
    const copy = await copyNamed('one');
    const frontEnd = await FrontEnd.before([copy]);
    const link = linkTo(frontEnd.url, { renewMs: 20 });
    await link.reach(30_000);
    const long = link.call({ ...call, method: 'wait' }, PATIENCE);
    await until(async () => {
      expect(await link.call(call, { waitMs: 0 })).toBe('one');
      return frontEnd.taken >= 5;
    });
    copy.release();
    expect(await long).toBe('one, in the end');
    expect(link.copies).toHaveLength(1);
    await until(() => frontEnd.open === 1);
  });

  it('goes over to copies that took the place of others, although these still run', async () => {
    const old = await copyNamed('old');
    const frontEnd = await FrontEnd.before([old]);
    const link = linkTo(frontEnd.url, { renewMs: 50 });
    await link.reach(30_000);
    const long = link.call({ ...call, method: 'wait' }, PATIENCE);
    expect(await link.call(call, PATIENCE)).toBe('old');
    const young = await copyNamed('young');
    await frontEnd.tell({ do: 'pass to', ports: [young.port] });
    await until(async () => (await link.call(call, { waitMs: 0 })) === 'young' && link.copies.length === 1);
    expect(await link.call(call, { waitMs: 0 })).toBe('young');
    old.release();
    expect(await long).toBe('old, in the end');
  });

  it('keeps what it has where nothing new is to be had', async () => {
    const frontEnd = await FrontEnd.before([await copyNamed('one')]);
    const link = linkTo(frontEnd.url, { renewMs: 20 });
    expect(await link.call(call, PATIENCE)).toBe('one');
    await frontEnd.tell({ do: 'answer', status: 503 });
    const { taken } = frontEnd;
    await until(async () => {
      expect(await link.call(call, { waitMs: 0 })).toBe('one');
      return frontEnd.refused > 3;
    });
    expect(frontEnd.taken).toBeLessThanOrEqual(taken + 1);
  });

  it('keeps what it has of each copy, however old, where nothing new is to be had', async () => {
    const frontEnd = await FrontEnd.before([await copyNamed('one'), await copyNamed('two')]);
    const link = linkTo(frontEnd.url, { probeMs: 20, renewMs: 1000 });
    await until(() => link.copies.length === 2);
    await frontEnd.tell({ do: 'answer', status: 503 });
    // At the most one every 20 ms: longer than the connections are to be used.
    await until(() => frontEnd.refused >= 100);
    const names = await Promise.all(link.copies.map((copy) => copy.call(call)));
    expect(names.toSorted()).toEqual(['one', 'two']);
  });

  it('is there again at once where it was cut; calls under way fail, and no other', async () => {
    const frontEnd = await FrontEnd.before([await copyNamed('one')]);
    const link = linkTo(frontEnd.url);
    for (let i = 0; i < 3; i++) {
      expect(await link.call(call, PATIENCE)).toBe('one');
      const cut = link.call({ ...call, method: 'wait' }, PATIENCE);
      const failed = expect(cut).rejects.toMatchObject({ code: 'unavailable', message: 'echo went away' });
      await frontEnd.tell({ do: 'cut' });
      await failed;
    }
    expect(await link.call(call, PATIENCE)).toBe('one');
  });

  it('waits for a front end that is held up', async () => {
    const frontEnd = await FrontEnd.before([await copyNamed('one')]);
    const link = linkTo(frontEnd.url);
    await link.reach(30_000);
    frontEnd.process.kill('SIGSTOP');
    const answer = link.call(call, PATIENCE);
    await expect(Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200, 'waits'))])).resolves.toBe(
      'waits',
    );
    frontEnd.process.kill('SIGCONT');
    expect(await answer).toBe('one');
  });

  it('ends on both sides when the service stops', async () => {
    const copy = await copyNamed('one');
    const frontEnd = await FrontEnd.before([copy]);
    const link = linkTo(frontEnd.url);
    await link.reach(30_000);
    await copy.close();
    await until(() => link.copies.length === 0 && frontEnd.open === 0);
    const message = `echo-service is not reached: ${frontEnd.url}: it answers with status 502 in place of a WebSocket`;
    await until(() => link.problem() === message);
    await expect(link.reach(1)).rejects.toMatchObject({ message });
  });
});

describe('a port that takes WebSockets', () => {
  const LOOPBACK = expect.stringMatching(/^(::ffff:)?127\.0\.0\.1$/) as unknown;

  it.each([
    ['/health/live', 200],
    ['/health/live?all', 426],
    ['/', 426],
  ])('answers %s with %d to what speaks plain HTTP', async (path, status) => {
    const { port } = await copyNamed('one');
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    expect(response.status).toBe(status);
    await response.body?.cancel();
  });

  it('answers nobody who has another key', async () => {
    refusals.length = origins.length = 0;
    const frontEnd = await FrontEnd.before([await copyNamed('one')]);
    const otherKey = 'it has another key: TRIBO_LINK_KEY, or what TRIBO_LINK_KEY_FILE holds, must be the same there';
    await expect(linkTo(frontEnd.url, { key: another }).reach(1000)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: `echo-service is not reached: ${frontEnd.url}: ${otherKey}` },
    });
    await until(() => refusals.length > 0);
    expect(refusals[0]).toBe(`a connection to the port of the links was refused: ${otherKey}`);
    expect(origins[0]).toEqual({ from: LOOPBACK, refused: 1 });
  });

  it.each([
    ['a proxy that names whom it passes on', '203.0.113.7, 10.0.0.1', '203.0.113.7, 10.0.0.1'],
    ['somebody who claims very much', 'x'.repeat(5000), 'x'.repeat(200)],
  ])('tells of a refused connection whence it came: %s', async (_what, claimed, forwardedFor) => {
    refusals.length = origins.length = 0;
    const { port } = await copyNamed('one');
    const headers = { 'x-forwarded-for': claimed };
    const stranger = new WebSocket(`ws://127.0.0.1:${port}/links`, { headers });
    stranger.on('error', () => undefined).on('open', () => stranger.send('let me in'));
    await once(stranger, 'close');
    await until(() => origins.length > 0);
    expect(origins).toEqual([{ from: LOOPBACK, forwardedFor, refused: 1 }]);
  });

  it.each([
    ['a call as over a socket', Buffer.from([0, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8]), /does not speak TLS/],
    ['text', 'let me in', /does not speak TLS/],
    ['a message above 64 KiB', Buffer.alloc(64 * 1024 + 1), /WS_ERR_UNSUPPORTED_MESSAGE_LENGTH/],
  ])('ends what says something else in a WebSocket: %s', async (_what, message, refusal) => {
    refusals.length = 0;
    const copy = await copyNamed('one');
    const frontEnd = await FrontEnd.before([copy]);
    const stranger = new WebSocket(frontEnd.url);
    const answered: Buffer[] = [];
    stranger.on('message', (data: Buffer) => answered.push(data)).on('error', () => undefined);
    stranger.on('open', () => stranger.send(message));
    await once(stranger, 'close');
    expect(Buffer.concat(answered).toString('hex')).toMatch(NOTHING_OR_ALERT);
    await until(() => refusals.length > 0);
    expect(refusals[0]).toMatch(refusal);
    expect(await linkTo(frontEnd.url).call(call, PATIENCE)).toBe('one');
  });
});
