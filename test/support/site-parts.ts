import { readSite, type SitePart } from '#services/platform/moving/site-folder.ts';

/** All parts of a whole export. */
export async function sitePartsOf(folder: string): Promise<readonly SitePart[]> {
  const parts: SitePart[] = [];
  for await (const part of (await readSite(folder)).parts()) parts.push(part);
  return parts;
}

/** Path and checksum of each part, in one order whatever was exported first. */
export async function siteChecksums(folder: string): Promise<readonly (readonly [path: string, sha256: string])[]> {
  return (await sitePartsOf(folder)).map(({ path, sha256 }) => [path, sha256] as const).sort();
}
