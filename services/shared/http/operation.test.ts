import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { PORT_ERROR_CODES, PortError } from '#core/errors.ts';
import { createMetricsRegistry } from '../observability/metrics.ts';
import { serveOperation } from './operation-server.ts';
import { HttpProblem, problemBody, problemOf } from './problem.ts';
import { problemSchema } from './problem-types.ts';
import { Readiness, type ReadinessCheck } from './readiness.ts';

describe('readiness', () => {
  it.each<[string, ReadinessCheck, string | undefined]>([
    ['nothing is wrong', () => undefined, undefined],
    ['a check gives a reason', async () => 'the disk is full', 'the disk is full'],
    ['a check fails', () => Promise.reject(new Error('connection refused')), 'connection refused'],
  ])('tells why when %s', async (_when, check, reason) => {
    const report = await new Readiness({ store: check }).report();
    expect(report.status).toBe(reason === undefined ? 'ready' : 'not-ready');
    expect(report.checks[0]?.reason).toBe(reason);
  });

  it('calls a part that does not answer not ready', async () => {
    const report = await new Readiness({ store: () => new Promise<undefined>(() => undefined) }).report();
    expect(report.checks).toEqual([{ name: 'store', ok: false, reason: 'no answer within 2000 ms' }]);
  });

  it('is not ready from the moment it stops', async () => {
    const readiness = new Readiness({});
    expect((await readiness.report()).status).toBe('ready');
    readiness.stopping();
    expect(await readiness.report()).toMatchObject({ status: 'not-ready', checks: [{ name: 'process' }] });
  });

  it('evaluates once for probes that come together', async () => {
    let evaluations = 0;
    const readiness = new Readiness({
      store: () => {
        evaluations++;
        return undefined;
      },
    });
    await Promise.all([readiness.report(), readiness.report(), readiness.report()]);
    expect(evaluations).toBe(1);
  });
});

describe('operation server', () => {
  it('answers liveness, readiness and metrics, and nothing else', async () => {
    const readiness = new Readiness({ store: () => undefined });
    const metrics = createMetricsRegistry('alert-engine', { processMetrics: false });
    await using server = await serveOperation({ port: 0, readiness, metrics });
    const status = async (path: string, method = 'GET') => (await fetch(`${server.url}${path}`, { method })).status;
    expect(await status('/health/live')).toBe(200);
    expect(await status('/health/ready')).toBe(200);
    expect(await status('/metrics')).toBe(200);
    expect(await status('/')).toBe(404);
    expect(await status('/metrics', 'POST')).toBe(405);
    readiness.stopping();
    const response = await fetch(`${server.url}/health/ready`);
    expect(response.status).toBe(503);
    expect(await response.text()).toContain('it is stopping');
  });

  it('answers a probe by address or a name of its own, and nobody under another name', async () => {
    const options = { readiness: new Readiness({}), metrics: createMetricsRegistry('test', { processMetrics: false }) };
    await using server = await serveOperation({ port: 0, hostNames: ['tribo.monitoring.svc'], ...options });
    const ask = async (host: string) => {
      const asked = request(`${server.url}/metrics`, { headers: { host } }).end();
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      answer.resume();
      return answer.statusCode;
    };
    expect(await Promise.all(['10.1.2.3', 'localhost:1', 'tribo.monitoring.svc'].map(ask))).toEqual([200, 200, 200]);
    expect(await ask('attacker.example')).toBe(421);
  });

  it('names the port that is taken, and where to change it', async () => {
    const options = { readiness: new Readiness({}), metrics: createMetricsRegistry('test', { processMetrics: false }) };
    await using server = await serveOperation({ port: 0, ...options });
    const port = Number(new URL(server.url).port);
    await expect(serveOperation({ port, ...options })).rejects.toMatchObject({
      code: 'failed_precondition',
      message: expect.stringMatching(new RegExp(`port ${port} .*TRIBO_OPERATION_PORT`)),
    });
  });
});

describe('problem details', () => {
  it.each(PORT_ERROR_CODES)('answers a port error of code %s with a problem that says what to do', (code) => {
    const body = problemBody(problemOf(new PortError(code, 'what happened')), 'trace');
    expect(problemSchema.parse(body)).toEqual(body);
    expect(body.remedy).not.toBe('');
    expect(body.status).toBeGreaterThanOrEqual(400);
  });

  it('tells nothing of an unforeseen error', () => {
    const body = problemBody(problemOf(new TypeError('SELECT secret FROM device')));
    expect(body).toMatchObject({ type: 'urn:tribo:problem:internal', status: 500 });
    expect(JSON.stringify(body)).not.toContain('SELECT');
  });

  it('passes a problem through', () => {
    const problem = new HttpProblem('body-too-large', { detail: 'd', remedy: 'r', pointer: '/x' });
    expect(problemOf(problem)).toBe(problem);
    expect(problemBody(problem)).toMatchObject({ status: 413, pointer: '/x' });
  });
});
