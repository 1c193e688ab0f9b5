import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { derivedId } from '#core/derivation/derived-event.ts';
import { deviceTopic } from '#core/ingestion/topics.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { route, type Route } from '../http/route.ts';
import { sendCommandRequestSchema, sentCommandSchema, type commandPayloadSchema } from '../schemas/commands.ts';
import { machineAddressSchema, machineSiteQuerySchema } from '../schemas/machines.ts';
import { placeOf } from '../views.ts';
import { ownMachine } from './machine-access.ts';

const MAX_COMMAND_BYTES = 128 * 1024;

export function commandRoutes(): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/machines/{machine}/commands',
      tag: 'Devices',
      summary:
        'Sends a command to the device that speaks for a machine, and keeps it for one that is away until it expires.',
      access: 'engineer',
      params: machineAddressSchema,
      query: machineSiteQuerySchema,
      // White space and escapes may make a body longer than what is sent.
      body: { kind: 'json', schema: sendCommandRequestSchema, maxBytes: 2 * MAX_COMMAND_BYTES },
      response: {
        status: 202,
        description: 'It is kept durably, and sent at once to a device that listens',
        schema: sentCommandSchema,
      },
      handle: async ({ params, query, body, principal, idempotencyKey, signal }, services) => {
        const { tenant, subject } = principal;
        const { key } = ownMachine({ tenant, ...query, ...params }, services);
        const nowMs = services.clock.nowMs();
        const expiresMs = nowMs + body.expiresInS * 1000;
        // The same request repeated after a restart, which forgets answers, is still the same command while it waits.
        const id =
          idempotencyKey === undefined ? randomUUID() : derivedId('command', '1', key, [subject, idempotencyKey]);
        const message: z.infer<typeof commandPayloadSchema> = {
          id,
          ts: new Date(nowMs).toISOString(),
          expiresAt: new Date(expiresMs).toISOString(),
          command: body.command,
        };
        const payload = Buffer.from(JSON.stringify(message));
        if (payload.length > MAX_COMMAND_BYTES) throw tooLarge(payload.length);
        await services.commands.sendCommand(key, { id, payload, expiresAtMs: expiresMs }, { signal });
        services.logger.info({ command: id, machine: key, by: subject }, 'a command was sent');
        return { json: { id, ...placeOf(key), topic: deviceTopic({ kind: 'command', machine: key }), expiresMs } };
      },
    }),
  ];
}

function tooLarge(bytes: number): HttpProblem {
  return new HttpProblem('invalid-request', {
    detail: `The command takes ${bytes} bytes as it would be sent; at most ${MAX_COMMAND_BYTES} can be.`,
    pointer: '/command',
    remedy: 'Send less, or where the device can fetch the rest from.',
  });
}
