import { createHash } from 'node:crypto';
import { draftProblem } from '#core/inference/check-draft.ts';
import type { TenantId } from '#core/domain/ids.ts';
import { isPortError, type CallOptions } from '#core/errors.ts';
import { modelKey, type ModelRef, type ModelRegistry, type ModelVersion } from '#core/ports/model-registry.ts';
import { HttpProblem } from '../../shared/http/problem.ts';
import { etagOf, expectedVersion, preconditionFailed } from '../http/conditions.ts';
import { decodeCursor, pageOf } from '../http/cursor.ts';
import { route, type Call, type Reply, type Route } from '../http/route.ts';
import {
  modelAddressSchema,
  modelDetailSchema,
  modelListQuerySchema,
  modelListSchema,
  modelScopeQuerySchema,
  modelVersionAddressSchema,
  modelVersionListQuerySchema,
  modelVersionSchema,
  modelVersionsSchema,
  promoteModelRequestSchema,
  registerModelRequestSchema,
  rollbackModelRequestSchema,
  type ModelDetail,
  type ModelVersionView,
  type RegisterModelRequest,
} from '../schemas/models.ts';
import type { GatewayServices } from '../services.ts';
import { placeOf } from '../views.ts';
import { machineKeyOf, ownMachine } from './machine-access.ts';

const TAG = 'Models';
const JSON_TYPE = 'application/json';
const ARTIFACT_TYPE = 'application/octet-stream';
const PROMOTIONS_SHOWN = 50;
/** What names, inputs and provenance may add to the artifact's base64. */
const DESCRIPTION_BYTES = 2 ** 20;

export function modelRoutes(limits: { readonly modelBytes: number; readonly jsonBytes: number }): readonly Route[] {
  return [
    route({
      method: 'GET',
      path: '/v1/models',
      tag: TAG,
      summary: 'The models of the tenant, with their newest and their promoted version.',
      access: 'viewer',
      query: modelListQuerySchema,
      response: { status: 200, description: 'In order of name and machine', schema: modelListSchema },
      handle: async ({ query, principal: { tenant }, signal }, { models }) => {
        const [after] = query.cursor === undefined ? [] : decodeCursor('models', query.cursor, ['string']);
        const page = { tenant, limit: query.limit + 1, ...(after !== undefined && { after }) };
        const found = (await models?.listModels(page, { signal })) ?? [];
        return {
          json: pageOf('models', found, query.limit, {
            view: ({ model, latestVersion, promotedVersion }) => ({
              ...nameOf(model),
              latestVersion,
              ...(promotedVersion !== undefined && { promotedVersion }),
            }),
            positionOf: ({ model }) => [modelKey(model)],
          }),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/models/{id}',
      tag: TAG,
      summary: 'One model, with who promoted what and why.',
      access: 'viewer',
      params: modelAddressSchema,
      query: modelScopeQuerySchema,
      response: { status: 200, description: 'The model', schema: modelDetailSchema, etag: true },
      handle: async (call, services) => modelReply(refOf(call, services), services, { signal: call.signal }),
    }),
    route({
      method: 'GET',
      path: '/v1/models/{id}/versions',
      tag: TAG,
      summary: 'The versions of a model with their provenance.',
      access: 'viewer',
      params: modelAddressSchema,
      query: modelVersionListQuerySchema,
      response: { status: 200, description: 'Newest first', schema: modelVersionsSchema },
      handle: async (call, services) => {
        const { query, signal } = call;
        const ref = refOf(call, services);
        const registry = registryOf(services);
        const [before] = query.cursor === undefined ? [] : decodeCursor('model-versions', query.cursor, ['number']);
        const page = { limit: query.limit + 1, ...(before !== undefined && { before }) };
        const found = await registry.listVersions(ref, page, { signal });
        if (found.length === 0 && before === undefined) throw noSuchModel(ref);
        const promoted = await registry.getPromoted(ref, { signal });
        const view = (version: ModelVersion) => versionView(version, promoted);
        return {
          json: pageOf('model-versions', found, query.limit, { view, positionOf: ({ version }) => [version] }),
        };
      },
    }),
    route({
      method: 'GET',
      path: '/v1/models/{id}/versions/{version}',
      tag: TAG,
      summary: 'One version; its ONNX file by Accept: application/octet-stream.',
      access: 'viewer',
      params: modelVersionAddressSchema,
      query: modelScopeQuerySchema,
      response: {
        status: 200,
        description: 'The version',
        schema: modelVersionSchema,
        alternatives: [ARTIFACT_TYPE],
      },
      handle: async (call, services) => {
        const { params, signal } = call;
        const ref = refOf(call, services);
        const registry = registryOf(services);
        const [version] = await registry.listVersions(ref, { before: params.version + 1, limit: 1 }, { signal });
        if (version?.version !== params.version) throw noSuchVersion(ref, params.version);
        const headers = { etag: `"${version.sha256}"` };
        if (call.accepts([JSON_TYPE, ARTIFACT_TYPE]) === ARTIFACT_TYPE) {
          return { bytes: await registry.artifact(ref, params.version, { signal }), type: ARTIFACT_TYPE, headers };
        }
        return { json: versionView(version, await registry.getPromoted(ref, { signal })), headers };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/models/{id}/versions',
      tag: TAG,
      summary:
        'Registers an ONNX model, once it has been loaded and run here. The same file again gives the same version.',
      access: 'engineer',
      params: modelAddressSchema,
      query: modelScopeQuerySchema,
      body: {
        kind: 'json',
        schema: registerModelRequestSchema,
        maxBytes: Math.ceil((limits.modelBytes * 4) / 3) + DESCRIPTION_BYTES,
      },
      response: { status: 201, description: 'The version; it runs once it is promoted', schema: modelVersionSchema },
      handle: async (call, services) => {
        const { query, body, principal } = call;
        const registry = registryOf(services);
        if (query.machine !== undefined)
          ownMachine({ tenant: principal.tenant, ...query, machine: query.machine }, services);
        const ref = refOf(call, services);
        const { sha256: _sha256, ...description } = body;
        const draft = {
          ...description,
          artifact: artifactOf(body, limits.modelBytes),
          registeredBy: principal.subject,
        };
        await requireRunnable(ref, draft, services);
        const version = await registry.register(ref, draft);
        const audit = { by: principal.subject, model: modelKey(ref), version: version.version, sha256: version.sha256 };
        services.logger.info(audit, 'model version registered');
        return { json: versionView(version, await registry.getPromoted(ref)) };
      },
    }),
    route({
      method: 'POST',
      path: '/v1/models/{id}/promote',
      tag: TAG,
      summary: 'Makes a version the one that runs. Replacing another needs If-Match.',
      access: 'engineer',
      params: modelAddressSchema,
      query: modelScopeQuerySchema,
      body: { kind: 'json', schema: promoteModelRequestSchema, maxBytes: limits.jsonBytes },
      response: { status: 200, description: 'The model as it is now', schema: modelDetailSchema, etag: true },
      handle: async (call, services) => {
        const { version, reason } = call.body;
        return decide(call, services, (registry, ref, condition) =>
          registry.promote(ref, version, { by: call.principal.subject, reason }, condition),
        );
      },
    }),
    route({
      method: 'POST',
      path: '/v1/models/{id}/rollback',
      tag: TAG,
      summary: 'Goes back to the version that was promoted before the present one. Needs If-Match.',
      access: 'engineer',
      params: modelAddressSchema,
      query: modelScopeQuerySchema,
      body: { kind: 'json', schema: rollbackModelRequestSchema, maxBytes: limits.jsonBytes, optional: true },
      response: { status: 200, description: 'The model as it is now', schema: modelDetailSchema, etag: true },
      handle: async (call, services) =>
        decide(call, services, (registry, ref, condition) =>
          registry.rollback(ref, { by: call.principal.subject, reason: call.body.reason }, condition),
        ),
    }),
  ];
}

type ModelCall = Call<
  { readonly id: string },
  { readonly site?: string | undefined; readonly machine?: string | undefined; readonly sensor?: string | undefined }
>;

/** @throws HttpProblem for a sensor without its machine, or a machine that is at several sites. */
function refOf({ params, query, principal }: ModelCall, services: GatewayServices): ModelRef {
  const { tenant }: { readonly tenant: TenantId } = principal;
  const { site, machine, sensor } = query;
  const missing = machine === undefined && (sensor ?? site) !== undefined;
  if (missing) {
    throw new HttpProblem('invalid-request', {
      detail: 'A site or sensor says nothing without its machine.',
      pointer: 'query:machine',
      remedy: 'Name the machine, or leave site and sensor out for the model of the whole tenant.',
    });
  }
  return {
    name: params.id,
    tenant,
    ...(machine !== undefined && { machine: machineKeyOf({ tenant, site, machine }, services) }),
    ...(sensor !== undefined && { sensor }),
  };
}

async function decide(
  call: ModelCall & Pick<Call, 'header'>,
  services: GatewayServices,
  decision: (
    registry: ModelRegistry,
    ref: ModelRef,
    condition: { readonly expectedPromoted: number },
  ) => Promise<ModelVersion>,
): Promise<Reply> {
  const ref = refOf(call, services);
  const registry = registryOf(services);
  const present = (await registry.getPromoted(ref))?.version ?? 0;
  const expectedPromoted = expectedVersion(call, present);
  try {
    const { version } = await decision(registry, ref, { expectedPromoted });
    services.logger.info({ by: call.principal.subject, model: modelKey(ref), version }, 'model version promoted');
  } catch (error) {
    const now = (await registry.getPromoted(ref))?.version ?? 0;
    const isOvertaken = isPortError(error) && error.code === 'failed_precondition' && now !== expectedPromoted;
    throw isOvertaken ? preconditionFailed(error.message) : error;
  }
  return modelReply(ref, services, {});
}

async function modelReply(ref: ModelRef, services: GatewayServices, options: CallOptions): Promise<Reply> {
  const registry = registryOf(services);
  const [latest] = await registry.listVersions(ref, { limit: 1 }, options);
  if (!latest) throw noSuchModel(ref);
  const promoted = await registry.getPromoted(ref, options);
  const promotions = await registry.promotions(ref, { limit: PROMOTIONS_SHOWN }, options);
  const json: ModelDetail = {
    ...nameOf(ref),
    latestVersion: latest.version,
    ...(promoted && { promotedVersion: promoted.version }),
    promotions: promotions.map(({ version, kind, atMs, by, reason }) => ({ version, kind, atMs, by, reason })),
  };
  return { json, headers: { etag: etagOf(promoted?.version ?? 0) } };
}

/** The bytes that the base64 stands for. @throws HttpProblem for what is no base64, too large, or damaged on its way. */
function artifactOf({ artifact, sha256 }: RegisterModelRequest, maxBytes: number): Uint8Array {
  const bytes = Buffer.from(artifact, 'base64');
  if (bytes.toString('base64') !== artifact) {
    throw new HttpProblem('invalid-request', {
      detail: 'The artifact is not base64.',
      pointer: '/artifact',
      remedy: 'Encode the ONNX file as RFC 4648 section 4 says, with padding and without line breaks.',
    });
  }
  if (bytes.byteLength > maxBytes) {
    throw new HttpProblem('body-too-large', {
      detail: `The artifact has ${bytes.byteLength} bytes; at most ${maxBytes} are taken.`,
      pointer: '/artifact',
      remedy: 'Make the model smaller: quantise it, or leave training graphs out of the file.',
    });
  }
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual === sha256) return bytes;
  throw new HttpProblem('invalid-request', {
    detail: `The artifact’s SHA-256 is ${actual}, not the one that was sent.`,
    pointer: '/sha256',
    remedy: 'Send the file again; sha256sum prints what it should be.',
  });
}

async function requireRunnable(
  ref: ModelRef,
  draft: Parameters<typeof draftProblem>[2],
  { inference }: GatewayServices,
): Promise<void> {
  if (!inference) throw notHere();
  const problem = await draftProblem(inference, ref, draft);
  if (!problem) return;
  throw new HttpProblem('invalid-request', {
    detail: `The model cannot run here: ${problem.detail}.`,
    pointer: `/${problem.field}`,
    remedy:
      'It must be an ONNX file with one float input (batch x features) and an output "score"; `inputs` names its features in order.',
  });
}

function versionView(version: ModelVersion, promoted: ModelVersion | undefined): ModelVersionView {
  const { registeredAtMs, registeredBy, sha256, artifactBytes, format, inputs, parameters, provenance } = version;
  return {
    version: version.version,
    promoted: version.version === promoted?.version,
    registeredMs: registeredAtMs,
    ...(registeredBy !== undefined && { registeredBy }),
    sha256,
    artifactBytes,
    format,
    inputs: [...inputs],
    parameters: { ...parameters },
    provenance: { ...provenance, metrics: { ...provenance.metrics } },
  };
}

function nameOf({ name, machine, sensor }: ModelRef) {
  return { name, ...(machine !== undefined && placeOf(machine)), ...(sensor !== undefined && { sensor }) };
}

function registryOf({ models }: GatewayServices): ModelRegistry {
  if (models) return models;
  throw notHere();
}

function notHere(): HttpProblem {
  return new HttpProblem('unimplemented', {
    detail: 'This site keeps no models.',
    remedy: 'Start the platform with its model registry and ml-service.',
  });
}

function noSuchModel(ref: ModelRef): HttpProblem {
  return new HttpProblem('not-found', {
    detail: `There is no model ${modelKey(ref)}.`,
    remedy: 'GET /v1/models lists those there are; a model of one machine or sensor needs ?machine= and ?sensor=.',
  });
}

function noSuchVersion(ref: ModelRef, version: number): HttpProblem {
  return new HttpProblem('not-found', {
    detail: `${modelKey(ref)} has no version ${version}.`,
    remedy: 'GET /v1/models/{id}/versions lists those there are.',
  });
}
