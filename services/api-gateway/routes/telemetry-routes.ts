import { z } from 'zod';
import { machineKey, type MachineId, type MachineKey, type SiteId } from '#core/domain/ids.ts';
import type { DeviceMessage, IntakeReceipt } from '#core/ports/device-gateway.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import type { Principal } from '../access/principal.ts';
import { parseJson } from '../http/body.ts';
import { route, type BytesBody, type Call, type Reply, type Route } from '../http/route.ts';
import { validated } from '../http/validation.ts';
import {
  intakeReceiptSchema,
  telemetryMessageSchema,
  telemetryQuerySchema,
  telemetryRequestSchema,
  waveformQuerySchema,
  type IntakeReceiptView,
} from '../schemas/telemetry.ts';
import type { GatewayServices } from '../services.ts';
import { readNdjson } from './ndjson.ts';

const JSON_TYPE = 'application/json';
const NDJSON_TYPE = 'application/x-ndjson';
const MESSAGES_A_CALL = 1000;
const MAX_REJECTIONS_TOLD = 1000;
/** Not of the samples' description. */
const NOT_DESCRIPTION: ReadonlySet<string> = new Set(['site', 'machine', 'sensor', 'import']);

/** Messages of one machine, in order, with where each of them is in the request. */
export interface Portion {
  readonly site: string;
  readonly machine: string;
  /** A JSON array of messages, or what could not be read as one. */
  readonly payload: Buffer;
  /** The request's pointer for a pointer of the intake's into `payload`. */
  readonly locate: (pointer: string) => string;
}

export function telemetryRoutes(limits: {
  readonly telemetryBytes: number;
  readonly waveformBytes: number;
}): readonly Route[] {
  return [
    route({
      method: 'POST',
      path: '/v1/telemetry',
      tag: 'Data in',
      summary: 'Sends readings. Answered once every accepted item is durable.',
      access: 'ingest',
      devices: true,
      allowance: 'telemetry',
      query: telemetryQuerySchema,
      body: {
        kind: 'bytes',
        types: { [JSON_TYPE]: telemetryRequestSchema, [NDJSON_TYPE]: telemetryMessageSchema },
        maxBytes: limits.telemetryBytes,
      },
      response: { status: 202, description: 'Durable; what became of each item', schema: intakeReceiptSchema },
      handle: async (call, services) => {
        const { site, machine } = call.query;
        const portions =
          call.body.type === NDJSON_TYPE ? readNdjson(call.body.bytes, { site, machine }) : readEnvelope(call.body);
        return accept(portions, call, services, (portion) => ({ kind: 'telemetry', payload: portion.payload }));
      },
    }),
    route({
      method: 'POST',
      path: '/v1/waveforms',
      tag: 'Data in',
      summary: 'Sends one waveform as raw samples. Answered once it is durable.',
      access: 'ingest',
      devices: true,
      allowance: 'telemetry',
      query: waveformQuerySchema,
      body: { kind: 'bytes', types: { 'application/octet-stream': samplesSchema }, maxBytes: limits.waveformBytes },
      response: { status: 202, description: 'Durable, or rejected with the reason', schema: intakeReceiptSchema },
      handle: async (call, services) => {
        const { site, machine, sensor } = call.query;
        const description = Object.fromEntries(
          Object.entries(call.rawQuery).filter(([name]) => !NOT_DESCRIPTION.has(name)),
        );
        const portion: Portion = { site, machine, payload: call.body.bytes, locate: queryPointer };
        return accept([portion], call, services, ({ payload }) => ({
          kind: 'waveform-raw',
          sensor,
          description,
          payload,
        }));
      },
    }),
  ];
}

const samplesSchema = z
  .string()
  .meta({ description: 'Samples one after the other, as `encoding` says', format: 'binary' });

/** The JSON form: one machine, its messages in portions that the intake takes. */
function readEnvelope({ bytes }: BytesBody): readonly Portion[] {
  const { site, machine, messages } = validated(telemetryRequestSchema, parseJson(bytes), 'body');
  const portions: Portion[] = [];
  const replacer = MAY_OVERFLOW.test(bytes.toString('latin1')) ? overflowKept : undefined;
  for (let from = 0; from < messages.length; from += MESSAGES_A_CALL) {
    portions.push({
      site,
      machine,
      payload: Buffer.from(JSON.stringify(messages.slice(from, from + MESSAGES_A_CALL), replacer)),
      locate: (pointer) => `/messages${shifted(pointer, from)}`,
    });
  }
  return portions;
}

/** A number that may be beyond what a double holds. */
const MAY_OVERFLOW = /\d[eE]\+?\d{3}|\d{309}/;

/** JSON has no infinity, so that 1e400 would be written as null, and the sender be told of a null that was never sent. */
function overflowKept(_key: string, value: unknown): unknown {
  return value === Infinity || value === -Infinity ? RAW_JSON.rawJSON(value > 0 ? '1e999' : '-1e999') : value;
}

/** Part of the language since ECMAScript 2026, and of Node.js 24; not yet of TypeScript's library. */
const RAW_JSON = JSON as unknown as { rawJSON(text: string): unknown };

/** `/3/ts` of a portion that begins at message 1000 is `/1003/ts`. */
function shifted(pointer: string, from: number): string {
  return pointer.replace(/^\/(\d+)/, (_match, index: string) => `/${Number(index) + from}`);
}

/** What the intake calls `/unit` came as the query's `unit`; the samples are the body. */
function queryPointer(pointer: string): string {
  return pointer === '' || pointer.startsWith('/samples') ? pointer : `query:${pointer.slice(1)}`;
}

async function accept(
  portions: readonly Portion[],
  call: Call<unknown, { import?: boolean | undefined }>,
  { intake, ledger }: GatewayServices,
  contentOf: (portion: Portion) => DeviceMessage['content'],
): Promise<Reply> {
  const { principal, traceparent } = call;
  const addressed = portions.map((portion) => ({ portion, machine: ownMachine(portion, principal) }));
  const foreign = addressed.find(({ machine }) => principal.machines && !principal.machines.has(machine));
  if (foreign) {
    ledger.refused(principal.tenant);
    throw new HttpProblem('forbidden', {
      detail: `The device ${principal.subject} may not speak for ${foreign.portion.site}/${foreign.portion.machine}.`,
      remedy: 'Bind the device to the machine: npx tribo device bind.',
    });
  }
  const outcomes = await Promise.allSettled(
    addressed.map(({ portion, machine }) =>
      intake.accept({
        tenant: principal.tenant,
        machine,
        sender: principal.subject,
        content: contentOf(portion),
        ...(call.query.import === true && { imported: true }),
        ...(traceparent !== undefined && { traceparent }),
      }),
    ),
  );
  // A client that is told to try again sends all of it, and what is durable already counts as duplicate then.
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) {
    ledger.refused(principal.tenant);
    throw failed.reason;
  }
  const receipts = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  return { json: merged(receipts, portions) };
}

function ownMachine({ site, machine }: Portion, { tenant }: Principal): MachineKey {
  return machineKey(tenant, site as SiteId, machine as MachineId);
}

function merged(receipts: readonly IntakeReceipt[], portions: readonly Portion[]): IntakeReceiptView {
  const view: IntakeReceiptView = { accepted: 0, duplicate: 0, rejected: [], rejectedItems: 0 };
  for (const [index, { accepted, duplicate, rejected }] of receipts.entries()) {
    view.accepted += accepted;
    view.duplicate += duplicate;
    view.rejectedItems += rejected.length;
    for (const { code, pointer, detail } of rejected.slice(0, MAX_REJECTIONS_TOLD - view.rejected.length)) {
      view.rejected.push({ code, pointer: portions[index]!.locate(pointer), detail });
    }
  }
  return view;
}
