import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runCommand } from '#test/support/platform-process.ts';

const TIMEOUT_MS = 120_000;

const SUM = {
  ...{ tenant: 'north', accepted: 1_234_567, stored: 1_234_000, duplicate: 400, rejected: 100, deadLettered: 60 },
  ...{ pending: 7, refused: 3, conflicts: 0, lost: 0, exact: true, atMs: 0 },
};
const REJECTION = {
  ...{ id: 'r-1', site: 'akron', machine: 'press-7', eventId: 'e-1', code: 'not_finite', pointer: '/metrics/x' },
  ...{ detail: 'x must be a finite number', atMs: Date.UTC(2026, 10, 21, 6) },
};
const NOT_FOUND = {
  ...{ type: 'https://tribo.io/problems/not-found', title: 'There is no such thing', status: 404 },
  ...{ detail: 'There is no dead letter d-1.', remedy: 'GET /v1/dead-letters lists those there are.' },
};

describe('tribo ledger', () => {
  let server: Server;
  let given: string[];
  beforeAll(async () => {
    server = createServer(({ url = '' }, response) => {
      const { pathname } = new URL(url, 'http://x');
      if (pathname === '/v1/ledger') return void response.end(JSON.stringify(SUM));
      if (pathname === '/v1/rejections') return void response.end(JSON.stringify({ items: [REJECTION] }));
      response.statusCode = 404;
      response.end(JSON.stringify(NOT_FOUND));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    given = ['--url', `http://127.0.0.1:${(server.address() as AddressInfo).port}`, '--token', 't'];
  });
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });

  it(
    'ends all figures of the sum in one column',
    async () => {
      const { code, stdout } = await runCommand(['ledger', ...given]);
      const rows = stdout.split('\n').filter((line) => line.startsWith('  '));
      expect(rows).toHaveLength(6);
      expect(new Set(rows.map(({ length }) => length)).size).toBe(1);
      expect(code).toBe(0);
    },
    TIMEOUT_MS,
  );

  it(
    'lists what was rejected, and why',
    async () => {
      const { code, stdout } = await runCommand(['ledger', 'rejections', ...given]);
      expect([code, stdout.split('\n')[1]]).toEqual([
        0,
        '2026-11-21 06:00:00Z  akron/press-7  e-1    /metrics/x  not_finite  x must be a finite number',
      ]);
    },
    TIMEOUT_MS,
  );

  it(
    'names the command that lists what there is where something is not',
    async () => {
      const { code, stderr } = await runCommand(['ledger', 'dead-letters', 'show', 'd-1', ...given]);
      expect([code, stderr]).toEqual([
        66,
        'tribo: There is no dead letter d-1.\n  tribo ledger dead-letters lists those there are.\n',
      ]);
    },
    TIMEOUT_MS,
  );
});

describe('tribo --help', () => {
  it(
    'of each part of a command names its examples and what goes with every command',
    async () => {
      const { code, stdout } = await runCommand(['ledger', 'dead-letters', 'replay', '--help']);
      expect(code).toBe(0);
      expect(stdout).toMatch(/Global Options:\n +--json /);
      expect(stdout).toMatch(/Examples:\n +npx tribo ledger\n/);
    },
    TIMEOUT_MS,
  );
});
