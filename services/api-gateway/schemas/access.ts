import { z } from 'zod';
import { ROLES } from '#core/domain/role.ts';
import { instantMsSchema, nameSchema, pageQuerySchema, pageSchema } from './common.ts';

/** What a caller may do. admin includes engineer, engineer includes operator and ingest, operator includes viewer. */
export const roleSchema = z.enum(ROLES).meta({
  id: 'Role',
  description:
    'viewer reads; operator also acknowledges and shelves; engineer also changes rules, machines and devices; admin also tokens; ingest only sends telemetry',
});

export const signInRequestSchema = z
  .strictObject({ code: z.string().min(1).max(256) })
  .meta({ id: 'SignIn', description: 'The code of a one-time sign-in link' });

export const signInIssuersSchema = z.object({ issuers: z.array(z.object({ id: z.string(), name: z.string() })) }).meta({
  id: 'SignInIssuers',
  description: 'Where people of this site may sign in, besides by one-time links',
  examples: [{ issuers: [{ id: 'company', name: 'Example Corp' }] }],
});

export const signInIssuerSchema = z.object({
  issuer: nameSchema.meta({ description: 'The `id` of one of GET /v1/sign-in-issuers' }),
});

/** No other address than one of the page: nobody is sent elsewhere by a link to here. */
export const beginSignInQuerySchema = z.object({
  returnTo: z
    .string()
    .max(512)
    .regex(/^\/(#[\w\-.~%/?=&:,@!$'()*+;]*)?$/, { error: 'must be a path of the page, such as /#/alarms' })
    .default('/')
    .meta({ description: 'Where at the page to go on: `/`, with a fragment where there is one' }),
});

const answered = z.string().max(8192).optional();

/** A client passes over what it does not know (RFC 6749, 4.1.2). */
export const signInAnswerSchema = z.looseObject({
  code: answered.meta({ description: 'Redeemed at the issuer, once' }),
  state: answered.meta({ description: 'Of the attempt that this browser has begun' }),
  iss: answered.meta({ description: 'Who answers (RFC 9207)' }),
  error: answered.meta({ description: 'Why nobody is let in' }),
});

export const sessionSchema = z
  .object({
    subject: z.string(),
    tenant: z.string(),
    roles: z.array(roleSchema),
    csrfToken: z.string().meta({ description: 'Send it as X-CSRF-Token with every request that is not GET' }),
    expiresMs: instantMsSchema,
  })
  .meta({ id: 'Session', description: 'Who is signed in. The session itself is an HttpOnly cookie.' });

export const signedOutSchema = z
  .object({
    issuerSignOutUrl: z.string().optional().meta({
      description: 'Where to go on, so that the session at the issuer ends too; it sends the browser back to the page',
    }),
  })
  .meta({ id: 'SignedOut', description: 'Nobody is signed in here any more' });

export const signInLinkRequestSchema = z
  .strictObject({ subject: nameSchema, roles: z.array(roleSchema).min(1).max(5) })
  .meta({ id: 'SignInLinkRequest', examples: [{ subject: 'maria', roles: ['operator'] }] });

export const signInLinkSchema = z
  .object({ url: z.string(), expiresMs: instantMsSchema })
  .meta({ id: 'SignInLink', description: 'Works once' });

export const createTokenRequestSchema = z
  .strictObject({
    name: nameSchema.meta({ description: 'The client that will use it' }),
    roles: z.array(roleSchema).min(1).max(5),
    lifetimeDays: z.number().positive().max(366).default(90),
  })
  .meta({ id: 'CreateToken', examples: [{ name: 'historian', roles: ['viewer'], lifetimeDays: 90 }] });

export const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    roles: z.array(roleSchema),
    createdMs: instantMsSchema,
    expiresMs: instantMsSchema,
    revoked: z.boolean(),
  })
  .meta({ id: 'Token' });

export const createdTokenSchema = z
  .object({
    ...tokenSchema.shape,
    token: z.string().meta({ description: 'The bearer token. Shown once, and kept nowhere.' }),
  })
  .meta({ id: 'CreatedToken' });

export const tokenListQuerySchema = z.object(pageQuerySchema(500, 100));
export const tokensSchema = pageSchema(tokenSchema).meta({ id: 'Tokens', description: 'Newest first' });
export const tokenAddressSchema = z.object({ id: z.string().min(1).max(64) });

export type SignInIssuers = z.infer<typeof signInIssuersSchema>;
export type Session = z.infer<typeof sessionSchema>;
export type SignedOut = z.infer<typeof signedOutSchema>;
export type TokenView = z.infer<typeof tokenSchema>;
export type CreatedToken = z.infer<typeof createdTokenSchema>;
export type SignInLink = z.infer<typeof signInLinkSchema>;
