import type { Clock } from '../clock.ts';
import type { Alarm } from '../domain/alarm.ts';
import { machineRef, type SiteId, type TenantId } from '../domain/ids.ts';
import type { CallOptions } from '../errors.ts';
import type { AlarmJournal } from '../ports/alarm-journal.ts';
import { alarmFact, alarmFigures, type AlarmFact, type AlarmFigures } from './alarm-figures.ts';

export interface FigureQuery {
  readonly tenant: TenantId;
  /** Absent: all sites of the tenant, as one operating position. */
  readonly site?: SiteId;
  /** At most {@link FIGURES_KEPT_MS} ago. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Figures, and the period that they are of: shorter than asked for where more was recorded than is kept in mind. */
export interface PeriodFigures extends AlarmFigures {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface FigureReaderLimits {
  /** Facts in mind for each tenant, about 150 bytes each; the oldest go first. */
  readonly maxFacts: number;
  readonly maxTenants: number;
}

export const FIGURES_KEPT_MS = 31 * 86_400_000;
const DEFAULT_LIMITS: FigureReaderLimits = { maxFacts: 200_000, maxTenants: 100 };
const PAGE = 1000;
const DAY_MS = 86_400_000;
const MAX_OPEN_ALARMS = 20_000;

/**
 * The figures of ISA-18.2 over any period of the last month. The journal is read once; from then on each call reads what was recorded since,
 * and folds facts that are in memory.
 */
export class AlarmFigureReader {
  readonly #journal: Pick<AlarmJournal, 'entries' | 'list'>;
  readonly #clock: Clock;
  readonly #limits: FigureReaderLimits;
  /** The least recently asked for first. */
  readonly #tenants = new Map<TenantId, TenantFacts>();

  constructor(
    journal: Pick<AlarmJournal, 'entries' | 'list'>,
    clock: Clock,
    limits: FigureReaderLimits = DEFAULT_LIMITS,
  ) {
    this.#journal = journal;
    this.#clock = clock;
    this.#limits = limits;
  }

  async figures(query: FigureQuery, options: CallOptions = {}): Promise<PeriodFigures> {
    const { tenant, site, fromMs, toMs } = query;
    const known = await this.#factsOf(tenant).upToDate(this.#clock.nowMs());
    const period = { fromMs: Math.max(fromMs, known.completeSinceMs), toMs };
    const ofSite = (fact: AlarmFact) => site === undefined || machineRef(fact.machine).site === site;
    const inPeriod = ({ recordedAtMs }: AlarmFact) => recordedAtMs >= period.fromMs && recordedAtMs < toMs;
    const facts = known.facts.filter((fact) => inPeriod(fact) && ofSite(fact));
    return { ...alarmFigures(facts, await this.#openForADay(query, options), period), ...period };
  }

  #factsOf(tenant: TenantId): TenantFacts {
    const facts = this.#tenants.get(tenant) ?? new TenantFacts(tenant, this.#journal, this.#limits.maxFacts);
    this.#tenants.delete(tenant);
    this.#tenants.set(tenant, facts);
    for (const oldest of this.#tenants.keys()) {
      if (this.#tenants.size <= this.#limits.maxTenants) break;
      this.#tenants.delete(oldest);
    }
    return facts;
  }

  async #openForADay({ tenant, site, toMs }: FigureQuery, options: CallOptions): Promise<readonly Alarm[]> {
    const open: Alarm[] = [];
    for (let last: Alarm | undefined; open.length < MAX_OPEN_ALARMS;) {
      const page: readonly Alarm[] = await this.#journal.list(
        {
          tenant,
          toMs: toMs - DAY_MS,
          limit: PAGE,
          ...(site !== undefined && { site }),
          ...(last && { after: { raisedAtMs: last.raisedAtMs, id: last.id } }),
        },
        options,
      );
      open.push(...page);
      last = page.at(-1);
      if (page.length < PAGE) break;
    }
    return open;
  }
}

/** What one tenant's journal says, in the order of recording, without what no figure needs. */
class TenantFacts {
  readonly #tenant: TenantId;
  readonly #journal: Pick<AlarmJournal, 'entries'>;
  readonly #maxFacts: number;
  #facts: AlarmFact[] = [];
  #after: string | undefined;
  #completeSinceMs: number | undefined;
  #reading: Promise<void> = Promise.resolve();

  constructor(tenant: TenantId, journal: Pick<AlarmJournal, 'entries'>, maxFacts: number) {
    this.#tenant = tenant;
    this.#journal = journal;
    this.#maxFacts = maxFacts;
  }

  /** One reading at a time; it is shared, so nobody's impatience ends it. */
  async upToDate(nowMs: number): Promise<{ readonly facts: readonly AlarmFact[]; readonly completeSinceMs: number }> {
    const read = () => this.#read(nowMs);
    this.#reading = this.#reading.then(read, read);
    await this.#reading;
    return { facts: this.#facts, completeSinceMs: this.#completeSinceMs ?? nowMs };
  }

  async #read(nowMs: number): Promise<void> {
    const keptFromMs = nowMs - FIGURES_KEPT_MS;
    this.#completeSinceMs = Math.max(this.#completeSinceMs ?? 0, keptFromMs);
    for (;;) {
      const page = await this.#journal.entries({
        tenant: this.#tenant,
        fromMs: keptFromMs,
        toMs: Number.MAX_SAFE_INTEGER,
        limit: PAGE,
        ...(this.#after !== undefined && { after: this.#after }),
      });
      for (const entry of page.entries) {
        const fact = alarmFact(entry);
        if (fact) this.#facts.push(fact);
      }
      this.#after = page.last ?? this.#after;
      this.#forget(keptFromMs);
      if (page.next === undefined) return;
      await breathe();
    }
  }

  /** Half more than the bound may gather before the oldest go, so that they do not go one by one. */
  #forget(keptFromMs: number): void {
    const old = this.#facts.findIndex(({ recordedAtMs }) => recordedAtMs >= keptFromMs);
    if (old > 1000 || old < 0) this.#facts = old < 0 ? [] : this.#facts.slice(old);
    if (this.#facts.length <= this.#maxFacts * 1.5) return;
    const excess = this.#facts.length - this.#maxFacts;
    this.#completeSinceMs = this.#facts[excess]!.recordedAtMs;
    this.#facts = this.#facts.slice(excess);
  }
}

/** Lets others be served between two pages: some stores answer without giving the event loop back. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
