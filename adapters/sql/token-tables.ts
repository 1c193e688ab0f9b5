import { sql } from 'kysely';
import type { Migration } from './migrate.ts';

export interface TokenSchema {
  issued_token: {
    id: string;
    tenant: string;
    subject: string;
    roles: string;
    created_at_ms: number;
    expires_at_ms: number;
    revoked: number;
  };
  /** One row: what all processes of the issuer go by, whatever the secret store shows them. */
  token_issuer: {
    only_row: number;
    /** The `iss` claim. */
    name: string;
    /** The `kid` of the newest key, by which the secret of the keys is named; the secret store has it, or will show it. */
    newest_kid: string;
  };
}

/** A token as it is listed. */
export type ListedToken = TokenSchema['issued_token'];

const migrations: readonly Migration[] = [
  {
    version: 1,
    up: async (db, { text }) => {
      await sql`create table issued_token (
        id ${text} primary key, tenant ${text} not null, subject text not null, roles text not null,
        created_at_ms bigint not null, expires_at_ms bigint not null, revoked integer not null default 0)`.execute(db);
      await sql`create index issued_token_tenant on issued_token (tenant, created_at_ms)`.execute(db);
    },
  },
  {
    version: 2,
    up: async (db) => {
      await sql`create table token_issuer (
        only_row integer primary key check (only_row = 1), name text not null, newest_kid text not null)`.execute(db);
      await sql`create index issued_token_revoked on issued_token (expires_at_ms) where revoked = 1`.execute(db);
    },
  },
];

export const tokenTables = { component: 'local-identity', migrations } as const;
