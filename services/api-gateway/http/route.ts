import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import type { Role } from '#core/domain/role.ts';
import type { Principal } from '../access/principal.ts';
import type { GatewayServices } from '../services.ts';

/**
 * One call of the API: who may make it, what it takes and gives, and what it does. Authentication, tenant, role, limits, validation,
 * idempotency and problem details are applied to every route alike by the pipeline; the OpenAPI document is made of the same table.
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As OpenAPI writes it: `/v1/machines/{machine}`. */
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  /** `public` needs nobody to be signed in; such routes are listed by name in a test. */
  readonly access: Role | 'public';
  /** Also devices may call it, with their id and secret by HTTP Basic authentication. */
  readonly devices?: boolean;
  /** Which allowance it is counted against. */
  readonly allowance?: 'telemetry' | 'api' | 'sign-in';
  readonly params?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly body?: BodyDefinition;
  readonly response: ResponseDefinition;
  /** For a route that people's browsers are sent to: the path of the page that tells its problems, each by its type in the query. */
  readonly problemPage?: string;
  readonly handle: (call: Call, services: GatewayServices) => Promise<Reply>;
}

/** Whether a repeated Idempotency-Key is answered from memory. Not for telemetry: its event ids do that, and its answers are many. */
export function isRemembered({ method, access, allowance }: Pick<Route, 'method' | 'access' | 'allowance'>): boolean {
  return method !== 'GET' && access !== 'public' && allowance !== 'telemetry';
}

export type BodyDefinition =
  | {
      readonly kind: 'json';
      readonly schema: z.ZodType;
      readonly maxBytes: number;
      /** No body at all is taken for `{}`. */
      readonly optional?: boolean;
    }
  | {
      readonly kind: 'bytes';
      /** Content types that are accepted, each with the schema that documents it. */
      readonly types: Readonly<Record<string, z.ZodType>>;
      readonly maxBytes: number;
    };

export interface ResponseDefinition {
  readonly status: 200 | 201 | 202 | 204 | 303;
  readonly description: string;
  readonly schema?: z.ZodType;
  /** Content types other than JSON that the client may ask for by `Accept`, or that are all there is. */
  readonly alternatives?: readonly string[];
  /** Says that the answer has an ETag, or that the call takes If-Match. */
  readonly etag?: boolean;
}

/** A request that has passed the pipeline. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** The query as it was sent. */
  readonly rawQuery: Readonly<Record<string, string>>;
  /** Who calls. @throws HttpProblem unauthenticated on a public route that nobody is signed in for. */
  readonly principal: Principal;
  readonly signal: AbortSignal;
  readonly idempotencyKey: string | undefined;
  readonly traceparent: string | undefined;
  /** The address that clients reach the gateway by. */
  readonly baseUrl: string;
  /** Rejects once the caller's credentials are no longer good. */
  readonly reauthenticate: () => Promise<unknown>;
  header(name: string): string | undefined;
  /** The best of the content types for this client, the first when it does not care. @throws HttpProblem not-acceptable. */
  accepts(types: readonly string[]): string;
}

/** A body that is not JSON, or that the route parses itself. */
export interface BytesBody {
  readonly type: string;
  readonly bytes: Buffer;
}

export type Reply = {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  /** Who is signed in by it, for the audit trail. */
  readonly signedIn?: Principal;
} & (
  | { readonly json: unknown }
  | { readonly bytes: Uint8Array | string; readonly type: string }
  | { readonly empty: true }
  /** Takes the response over, and returns when it has been begun. */
  | { readonly stream: (response: ServerResponse) => void }
);

type Output<Schema> = Schema extends z.ZodType ? z.output<Schema> : undefined;
type BodyOutput<Body> = Body extends { readonly kind: 'json'; readonly schema: infer Schema }
  ? Output<Schema>
  : Body extends { readonly kind: 'bytes' }
    ? BytesBody
    : undefined;

/** Declares a route whose handler sees what its schemas give. */
export function route<
  const Params extends z.ZodObject | undefined = undefined,
  const Query extends z.ZodObject | undefined = undefined,
  const Body extends BodyDefinition | undefined = undefined,
>(
  definition: Omit<Route, 'params' | 'query' | 'body' | 'handle'> & {
    readonly params?: Params;
    readonly query?: Query;
    readonly body?: Body;
    readonly handle: (
      call: Call<Output<Params>, Output<Query>, BodyOutput<Body>>,
      services: GatewayServices,
    ) => Promise<Reply>;
  },
): Route {
  // The pipeline validates with these very schemas before it calls the handler.
  return definition as unknown as Route;
}
