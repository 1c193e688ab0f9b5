import type { Sizes } from './environment.ts';

/** Sizes of a managed PostgreSQL that AWS and Azure both have, by the name of their price. */
type DatabaseClass = 'Small' | 'Medium' | 'Large' | 'Xlarge';

/** A small one has its vCPU for a part of the time only. */
const RATED_VCPU: Readonly<Record<DatabaseClass, number>> = { Small: 0.4, Medium: 2, Large: 4, Xlarge: 8 };
const AT_LEAST: Readonly<Record<Sizes, DatabaseClass>> = { small: 'Small', standard: 'Medium', large: 'Large' };
const ORDER: readonly DatabaseClass[] = ['Small', 'Medium', 'Large', 'Xlarge'];
const MAX_VCPU = 64;

/** What a load needs of a managed PostgreSQL. */
export interface DatabaseSize {
  readonly size: DatabaseClass;
  /** How many times the price of its class: sizes above the largest that has a price double with it. */
  readonly times: number;
  readonly vcpu: number;
  /** Set where no single server takes the load. */
  readonly tooSmall?: string;
}

/** The smallest class that the profile allows and the load needs. */
export function databaseSize(neededVcpu: number, sizes: Sizes): DatabaseSize {
  const allowed = ORDER.slice(ORDER.indexOf(AT_LEAST[sizes]));
  const size = allowed.find((name) => RATED_VCPU[name] >= neededVcpu);
  if (size) return { size, times: 1, vcpu: Math.max(2, RATED_VCPU[size]) };
  const vcpu = 2 ** Math.ceil(Math.log2(neededVcpu));
  return {
    size: 'Xlarge',
    times: vcpu / RATED_VCPU.Xlarge,
    vcpu,
    ...(vcpu > MAX_VCPU && {
      tooSmall: `one database of ${MAX_VCPU} vCPU does not take the load, which needs ${Math.ceil(neededVcpu)}`,
    }),
  };
}
