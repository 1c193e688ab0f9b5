import { decodeSamples } from '#core/domain/waveform.ts';
import { storedSamples } from '#core/domain/waveform-object.ts';
import type { CallOptions } from '#core/errors.ts';
import type { FeaturesBody } from '#core/features/featurise.ts';
import type { StoredDocument, StoredWaveform } from '#core/ports/time-series-store.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { decodeCursor, pageOf } from '../http/cursor.ts';
import { route, type Route } from '../http/route.ts';
import { machineAddressSchema } from '../schemas/machines.ts';
import { waveformAddressSchema } from '../schemas/telemetry.ts';
import {
  spectraSchema,
  spectrumQuerySchema,
  waveformFeaturesSchema,
  waveformListQuerySchema,
  waveformListSchema,
  waveformQueryForOneSchema,
  waveformSchema,
} from '../schemas/waveforms.ts';
import type { GatewayServices } from '../services.ts';
import { bytesOf, waveformFeatures, waveformMetadata } from '../views.ts';
import { ownMachine } from './machine-access.ts';
import { SpectrumReader } from './spectrum-reader.ts';

const TAG = 'Waveforms';
const JSON_TYPE = 'application/json';
const SAMPLES_TYPE = 'application/octet-stream';

export function waveformRoutes(): readonly Route[] {
  const spectra = new SpectrumReader();
  return [
    route({
      method: 'GET',
      path: '/v1/machines/{machine}/waveforms',
      tag: TAG,
      summary: 'The waveforms of a machine.',
      access: 'viewer',
      params: machineAddressSchema,
      query: waveformListQuerySchema,
      response: { status: 200, description: 'Newest first', schema: waveformListSchema },
      handle: async ({ params, query, principal, signal }, services) => {
        const { key } = ownMachine({ tenant: principal.tenant, site: query.site, ...params }, services);
        const { sensor, from: fromMs = 0, limit } = query;
        const after =
          query.cursor === undefined ? undefined : decodeCursor('waveforms', query.cursor, ['number', 'string']);
        // The store pages by time alone: of the instant at which the last page ended, what was shown is left out.
        const toMs = after ? after[0] + 1 : (query.to ?? Number.MAX_SAFE_INTEGER);
        const found = await services.store.waveforms(
          {
            machine: key,
            fromMs,
            toMs,
            limit: limit + 1 + (after ? MAX_AT_ONE_INSTANT : 0),
            ...(sensor !== undefined && { sensor }),
          },
          { signal },
        );
        const rest = found.toSorted(newestFirst).filter((each) => !after || isAfter(each, after));
        const positionOf = (last: StoredWaveform) => [last.ts, last.waveformId];
        return { json: pageOf('waveforms', rest, limit, { view: waveformMetadata, positionOf }) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/waveforms/{id}',
      tag: TAG,
      summary: 'One waveform: what it is, and its samples if asked for.',
      access: 'viewer',
      params: waveformAddressSchema,
      query: waveformQueryForOneSchema,
      response: { status: 200, description: 'The waveform', schema: waveformSchema, alternatives: [SAMPLES_TYPE] },
      handle: async (call, services) => {
        const { params, query, principal, signal } = call;
        const type = call.accepts([JSON_TYPE, SAMPLES_TYPE]);
        const waveform = await services.store.waveform(principal.tenant, params.id, { signal });
        if (!waveform) throw noSuchWaveform(params.id);
        if (type === SAMPLES_TYPE) {
          return {
            bytes: await samplesOf(waveform, services, { signal }),
            type,
            headers: { etag: `"${waveform.sha256}"` },
          };
        }
        const metadata = waveformMetadata(waveform);
        if (query.maxSamples === 0) return { json: metadata };
        const bytes = await samplesOf(waveform, services, { signal });
        const width = bytesOf(waveform) / waveform.sampleCount;
        const first = bytes.subarray(0, query.maxSamples * width);
        return { json: { ...metadata, samples: Array.from(decodeSamples(first, waveform.encoding, waveform.scale)) } };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/waveforms/{id}/features',
      tag: TAG,
      summary: 'What was computed of a waveform, with its zone of ISO 20816-3 or why it has none.',
      access: 'viewer',
      params: waveformAddressSchema,
      response: { status: 200, description: 'The features', schema: waveformFeaturesSchema },
      handle: async ({ params, principal, signal }, services) => {
        const waveform = await services.store.waveform(principal.tenant, params.id, { signal });
        if (!waveform) throw noSuchWaveform(params.id);
        return { json: waveformFeatures(waveform, await featuresOf(waveform, services, { signal })) };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/waveforms/{id}/spectrum',
      tag: TAG,
      summary:
        'Amplitude and envelope spectrum with the machine’s defect frequencies marked, and how they were computed.',
      access: 'viewer',
      params: waveformAddressSchema,
      query: spectrumQuerySchema,
      response: { status: 200, description: 'The spectra', schema: spectraSchema },
      handle: async ({ params, query, principal, signal }, services) => {
        const waveform = await services.store.waveform(principal.tenant, params.id, { signal });
        if (!waveform) throw noSuchWaveform(params.id);
        const [registered, own] = await Promise.all([
          services.machines.getMachine(waveform.machine, { signal }),
          featuresOf(waveform, services, { signal }),
        ]);
        const features = own?.body as FeaturesBody | undefined;
        const read = () => samplesOf(waveform, services, { signal });
        const views = await spectra.read({
          ...{ waveform, registered, features, read },
          ...{ kinds: query.kind, maxLines: query.maxLines },
        });
        return { json: { waveform: waveformMetadata(waveform), spectra: views } };
      },
    }),
  ];
}

/** Sensors that record at the same instant. */
const MAX_AT_ONE_INSTANT = 128;

async function featuresOf(
  { waveformId, machine, sensor, ts }: StoredWaveform,
  { store }: GatewayServices,
  options: CallOptions,
): Promise<StoredDocument | undefined> {
  const documents = await store.documents(
    { machine, sensor, kind: 'features', fromMs: ts, toMs: ts + 1, limit: MAX_AT_ONE_INSTANT },
    options,
  );
  return documents.find(({ body }) => (body as FeaturesBody).waveformId === waveformId);
}

function newestFirst(a: StoredWaveform, b: StoredWaveform): number {
  return b.ts - a.ts || (a.waveformId < b.waveformId ? -1 : 1);
}

function isAfter({ ts, waveformId }: StoredWaveform, [atMs, id]: readonly [number, string]): boolean {
  return ts < atMs || (ts === atMs && waveformId > id);
}

async function samplesOf(
  waveform: StoredWaveform,
  { objects }: GatewayServices,
  options: CallOptions,
): Promise<Uint8Array> {
  const object = await objects.get(waveform.objectKey, options);
  if (object) return storedSamples(waveform.objectKey, object);
  throw new HttpProblem('not-found', {
    detail: `The samples of the waveform ${waveform.waveformId} are no longer kept.`,
    remedy: 'Raise waveformDays to keep samples longer; their features are kept.',
  });
}

function noSuchWaveform(id: string): HttpProblem {
  return new HttpProblem('not-found', {
    detail: `There is no waveform ${id}.`,
    remedy: 'GET /v1/machines/{machine}/waveforms lists those there are.',
  });
}
