import { once } from 'node:events';
import { connect as connectPlainly, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { describe, expect, it } from '@jest/globals';
import { until } from '#core/contracts/until.ts';
import { PortError } from '#core/errors.ts';
import { selfSignedCertificate } from '#test/support/self-signed-certificate.ts';
import {
  another,
  call,
  cleanUp,
  key,
  NOTHING_OR_ALERT,
  openLink,
  origins,
  PATIENCE,
  problems,
  refusals,
  tellRefusal,
} from '#test/support/service-links.ts';
import type { LinkAddress } from './link-address.ts';
import { LinkServer } from './link-server.ts';
import { serverTls } from './link-tls.ts';
import type { ServiceLink, ServiceLinkOptions } from './service-link.ts';

async function copyNamed(name: string, { withKey = key, port = 0, offers = true } = {}): Promise<LinkServer> {
  const server = await LinkServer.open({ port, key: withKey, warn: tellRefusal });
  if (offers) server.offer('echo', { name: () => name, wait: () => new Promise(() => undefined) });
  cleanUp.push(() => server.close());
  return server;
}

function linkTo(ports: readonly number[], further: Partial<ServiceLinkOptions> = {}): ServiceLink {
  return openLink(
    ports.map((port) => ({ host: '127.0.0.1', port })),
    further,
  );
}

describe('a link to the copies of a service', () => {
  it('has calls answered by one copy after the other', async () => {
    const copies = [await copyNamed('one'), await copyNamed('two')];
    const link = linkTo(copies.map(({ port }) => port));
    await until(() => link.copies.length === 2);
    const answers = [];
    for (let i = 0; i < 4; i++) answers.push(await link.call(call, PATIENCE));
    expect(answers.toSorted()).toEqual(['one', 'one', 'two', 'two']);
  });

  it('asks each of them where that is wanted', async () => {
    const copies = [await copyNamed('one'), await copyNamed('two')];
    const link = linkTo(copies.map(({ port }) => port));
    await until(() => link.copies.length === 2);
    const names = await Promise.all(link.copies.map((copy) => copy.call(call)));
    expect(names.toSorted()).toEqual(['one', 'two']);
  });

  it('asks the next where one does not offer the port yet, and waits where none does', async () => {
    const early = await copyNamed('early', { offers: false });
    const link = linkTo([early.port]);
    await expect(link.call(call, { waitMs: 50 })).rejects.toMatchObject({ code: 'unavailable' });
    const answer = link.call(call, PATIENCE);
    const ready = early.offer('echo', { name: () => 'ready now' });
    expect(await answer).toBe('ready now');
    await ready.close();
    const further = await copyNamed('further');
    const both = linkTo([early.port, further.port]);
    await until(() => both.copies.length === 2);
    expect([await both.call(call, PATIENCE), await both.call(call, PATIENCE)]).toEqual(['further', 'further']);
  });

  it('asks all for what one of them alone can do', async () => {
    const idle = await copyNamed('idle', { offers: false });
    const refuse = () => {
      throw new PortError('unavailable', 'another one judges');
    };
    idle.offer('echo', { name: refuse });
    const judging = await copyNamed('judging');
    const link = linkTo([idle.port, judging.port]);
    await until(() => link.copies.length === 2);
    for (let i = 0; i < 3; i++) expect(await link.call(call, { ...PATIENCE, isAskedOfAll: true })).toBe('judging');
    await judging.close();
    await until(() => link.copies.length === 1);
    await expect(link.call(call, { ...PATIENCE, isAskedOfAll: true })).rejects.toMatchObject({
      ...{ code: 'unavailable', message: 'another one judges' },
    });
  });

  it('finds copies that a name comes to stand for, and goes on without one that is gone', async () => {
    const first = await copyNamed('first');
    let addresses = ['127.0.0.1'];
    const link = linkTo([], {
      addresses: [{ host: 'echo.tribo.internal', port: first.port }],
      resolve: async () => addresses,
    });
    expect(await link.call(call, PATIENCE)).toBe('first');
    const cut = link.call({ ...call, method: 'wait' }, PATIENCE);
    cut.catch(() => undefined);
    await first.close();
    await expect(cut).rejects.toMatchObject({ code: 'unavailable' });
    addresses = ['127.0.0.2'];
    await copyNamed('second', { port: first.port });
    expect(await link.call(call, PATIENCE)).toBe('second');
    expect(link.copies).toHaveLength(1);
  });

  it('finds the copies behind a balancer, and keeps one connection to each', async () => {
    const ports = [(await copyNamed('one')).port, (await copyNamed('two')).port];
    let taken = 0;
    const balancer = await listening(
      createServer((from) => {
        const to = connectPlainly(ports[taken++ % ports.length]!, '127.0.0.1');
        from.on('error', () => to.destroy()).on('close', () => to.destroy());
        to.on('error', () => from.destroy()).on('close', () => from.destroy());
        from.pipe(to).pipe(from);
      }),
    );
    const link = linkTo([portOf(balancer)], { probeMs: 20 });
    await until(() => link.copies.length === 2);
    const before = taken;
    await until(() => taken > before + 2);
    expect(link.copies).toHaveLength(2);
  });

  describe('that is closed while it is made', () => {
    let asked = 0;
    let open = 0;
    async function silent(server: Server, event: string): Promise<number> {
      server.on(event, (socket: Socket) => {
        asked++;
        open++;
        socket.on('error', () => undefined).on('close', () => open--);
        socket.resume();
      });
      return portOf(await listening(server));
    }
    const resolve = (): Promise<never> => {
      asked++;
      return new Promise(() => undefined);
    };
    const at = (port: number): LinkAddress => ({ host: '127.0.0.1', port });

    it.each([
      ['what takes connections, and says nothing', async () => at(await silent(createServer(), 'connection'))],
      [
        'what answers no request for a WebSocket',
        async () => ({ url: `ws://127.0.0.1:${await silent(createServer(), 'connection')}/links` }),
      ],
      [
        'what has the key, and does not say who it is',
        async () => at(await silent(createTlsServer(serverTls(key)), 'secureConnection')),
      ],
      ['the addresses of a name', async () => ({ host: 'slow.tribo.internal', port: 9443 })],
    ])('does not wait for %s', async (_what, start) => {
      asked = open = 0;
      const address = await start();
      const waiting = openLink([address], { resolve });
      const closed = openLink([address], { resolve });
      await until(() => asked === 2);
      await closed.close();
      // It began first, and has the same patience.
      expect(waiting.problem()).toBe('echo-service is not reached: it has not answered yet');
      await until(() => open <= 1);
    });
  });

  it('says why it is not reached', async () => {
    const unknown = linkTo([], {
      addresses: [{ host: 'nobody.tribo.internal', port: 9443 }],
      resolve: () => Promise.reject(Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })),
    });
    await expect(unknown.reach(100)).rejects.toMatchObject({
      message: 'echo-service is not reached: the name nobody.tribo.internal cannot be looked up (ENOTFOUND)',
    });
    const gone = await copyNamed('gone');
    await gone.close();
    await expect(linkTo([gone.port]).reach(200)).rejects.toMatchObject({
      message: `echo-service is not reached: 127.0.0.1:${gone.port}: nothing listens there`,
    });
  });
});

describe('whoever has not the key of the links', () => {
  const otherKey = 'it has another key: TRIBO_LINK_KEY, or what TRIBO_LINK_KEY_FILE holds, must be the same there';

  it('is told so, and so is the service, where it has another', async () => {
    refusals.length = problems.length = origins.length = 0;
    const { port } = await copyNamed('one');
    const link = linkTo([port], { key: another });
    await expect(link.reach(500)).rejects.toMatchObject({
      ...{ code: 'unavailable', message: `echo-service is not reached: 127.0.0.1:${port}: ${otherKey}` },
    });
    await until(() => refusals.length > 0 && problems.length > 0);
    expect(refusals).toEqual([`a connection to the port of the links was refused: ${otherKey}`]);
    expect(origins).toEqual([{ from: expect.stringMatching(/^(::ffff:)?127\.0\.0\.1$/), refused: 1 }]);
    expect(problems.at(-1)).toContain(otherKey);
  });

  it.each([
    ['a request of HTTP', Buffer.from('GET / HTTP/1.1\r\nhost: tribo\r\n\r\n')],
    ['a call as over a socket', Buffer.from([0, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8])],
  ])('gets no answer in plain text: %s', async (_what, bytes) => {
    refusals.length = 0;
    const { port } = await copyNamed('one');
    const stranger = connectPlainly(port, '127.0.0.1');
    const answered: Buffer[] = [];
    stranger.on('error', () => undefined).on('data', (chunk) => answered.push(chunk));
    stranger.write(bytes);
    await once(stranger, 'close');
    expect(Buffer.concat(answered).toString('hex')).toMatch(NOTHING_OR_ALERT);
    await until(() => refusals.length > 0);
    expect(refusals).toEqual(['a connection to the port of the links was refused: it does not speak TLS']);
  });

  it('is not called, although it has a certificate', async () => {
    const { cert, key: privateKey } = selfSignedCertificate();
    const impostor = await listening(createTlsServer({ cert, key: privateKey }));
    await expect(linkTo([portOf(impostor)]).reach(500)).rejects.toMatchObject({ code: 'unavailable' });
  });
});

async function listening<Kind extends Server>(server: Kind): Promise<Kind> {
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket: { destroy(): void }) => sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
