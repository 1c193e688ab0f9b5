/**
 * A flood of requests as a process: reads its task as JSON from the first argument, sends `POST /v1/telemetry` as fast as the connections
 * allow, whatever the answers, and prints one line of JSON at the end. Ids that were answered with 202 are in `ackFile`, synced.
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { Agent, request } from 'node:http';

export interface FloodTask {
  readonly url: string;
  readonly token: string;
  readonly site: string;
  readonly machines: readonly string[];
  readonly idPrefix: string;
  readonly connections: number;
  readonly seconds: number;
  readonly ackFile: string;
}

export interface FloodResult {
  readonly offered: number;
  /** Answers by status; 0: the connection ended without one. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Of answers with 429: how many had no Retry-After. */
  readonly withoutRetryAfter: number;
  readonly seconds: number;
}

async function flood(task: FloodTask): Promise<FloodResult> {
  const agent = new Agent({ keepAlive: true, maxSockets: task.connections });
  const statuses: Record<string, number> = {};
  const acknowledged: string[] = [];
  let offered = 0;
  let withoutRetryAfter = 0;
  const began = performance.now();
  const send = (): Promise<void> => {
    const id = `${task.idPrefix}-${offered}`;
    const machine = task.machines[offered % task.machines.length];
    offered += 1;
    const messages = [{ id, ts: Date.now(), metrics: { flood: 1 } }];
    const body = JSON.stringify({ site: task.site, machine, messages });
    return new Promise((resolve) => {
      const done = (status: number): void => {
        statuses[status] = (statuses[status] ?? 0) + 1;
        if (status === 202) acknowledged.push(id);
        resolve();
      };
      const sent = request(
        new URL('/v1/telemetry', task.url),
        {
          ...{ agent, method: 'POST' },
          headers: {
            ...{ authorization: `Bearer ${task.token}`, 'content-type': 'application/json' },
            'content-length': Buffer.byteLength(body),
          },
        },
        (response) => {
          if (response.statusCode === 429 && !(Number(response.headers['retry-after']) > 0)) withoutRetryAfter += 1;
          response.resume().on('close', () => done(response.complete ? (response.statusCode ?? 0) : 0));
        },
      );
      sent.on('error', () => done(0));
      sent.end(body);
    });
  };
  const drive = async (): Promise<void> => {
    while (performance.now() - began < task.seconds * 1000) await send();
  };
  await Promise.all(Array.from({ length: task.connections }, drive));
  agent.destroy();
  const file = openSync(task.ackFile, 'a');
  writeSync(file, acknowledged.map((id) => `${id}\n`).join(''));
  fdatasyncSync(file);
  closeSync(file);
  return { offered, statuses, withoutRetryAfter, seconds: (performance.now() - began) / 1000 };
}

const task = JSON.parse(process.argv[2] ?? '{}') as FloodTask;
process.stdout.write(`${JSON.stringify(await flood(task))}\n`);
