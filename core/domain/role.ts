/** What a caller may do at a tenant. */
export const ROLES = ['viewer', 'operator', 'engineer', 'admin', 'ingest'] as const;
export type Role = (typeof ROLES)[number];

/** A role's rights include those of the roles beside it. */
const INCLUDED: Readonly<Record<Role, readonly Role[]>> = {
  viewer: ['viewer'],
  operator: ['operator', 'viewer'],
  engineer: ['engineer', 'operator', 'viewer', 'ingest'],
  admin: ['admin', 'engineer', 'operator', 'viewer', 'ingest'],
  ingest: ['ingest'],
};

export function isRole(text: unknown): text is Role {
  return (ROLES as readonly unknown[]).includes(text);
}

/** Whether somebody with these roles may do what asks for `needed`. */
export function mayAct(roles: readonly Role[], needed: Role): boolean {
  return roles.some((role) => INCLUDED[role].includes(needed));
}
