/** The pages that tell people of adapters, by what is below docs/. */
export interface AdapterPages {
  /** docs/providers.md. */
  readonly providers: string;
  /** docs/verify.md. */
  readonly verify: string;
  /** docs/adapters/, by name without `.md`. */
  readonly adapters: Readonly<Record<string, string>>;
}

/** What is to be told of an adapter that a site may choose. */
export interface DescribedOffer {
  readonly family: string;
  readonly adapter: string;
  readonly isVerified: boolean;
}

/** What the pages do not say, one sentence each with the remedy. */
export function undescribed(offers: readonly DescribedOffer[], pages: AdapterPages): readonly string[] {
  const named = /said once: ([^.]*)\./.exec(pages.providers)?.[1]?.split(', ') ?? [];
  const families = [...new Set(offers.map(({ family }) => family))];
  return [
    ...families
      .filter((family) => !named.includes(family))
      .map((family) => `docs/providers.md: add ${family} to the families in its example of a ports file`),
    ...offers.flatMap((offer) => undescribedOffer(offer, offers, pages)),
  ];
}

function undescribedOffer(
  { adapter, isVerified }: DescribedOffer,
  offers: readonly DescribedOffer[],
  { providers, verify, adapters }: AdapterPages,
): readonly string[] {
  const isOfAnother = (page: string) => page !== adapter && offers.some((offer) => offer.adapter === page);
  const page = Object.keys(adapters).find((name) => !isOfAnother(name) && adapters[name]!.includes(`\`${adapter}\``));
  const problems: string[] = [];
  if (page === undefined) problems.push(`${adapter} has no page: write docs/adapters/${adapter}.md`);
  else if (!providers.includes(`(adapters/${page}.md)`))
    problems.push(`docs/providers.md: add a row for ${adapter} to "All adapters", with a link to adapters/${page}.md`);
  if (isVerified && !isNamed(adapter, verify))
    problems.push(`docs/verify.md: add a row for what \`tribo verify\` makes for ${adapter}`);
  return problems;
}

/** By its name, or by what several have in common: `postgres-*`. */
function isNamed(adapter: string, page: string): boolean {
  const names = [...page.matchAll(/`([a-z0-9-]+\*?)`/g)].map(([, name = '']) => name);
  return names.some((name) => (name.endsWith('*') ? adapter.startsWith(name.slice(0, -1)) : adapter === name));
}
