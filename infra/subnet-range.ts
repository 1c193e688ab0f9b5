/** So many equal parts a network has: three tiers of up to four zones, and room for more. */
const PARTS = 16;

/** One of the 16 equal parts of a network: of 10.40.0.0/16, number 4 is 10.40.64.0/20. */
export function subnetRange(range: string, part: number): string {
  if (!Number.isInteger(part) || part < 0 || part >= PARTS)
    throw new RangeError(`a network has the parts 0..${PARTS - 1}, got ${part}`);
  const [address = '', mask = ''] = range.split('/');
  const prefix = Number(mask) + Math.log2(PARTS);
  const first = address.split('.').reduce((sum, octet) => sum * 256 + Number(octet), 0);
  const begin = first + part * 2 ** (32 - prefix);
  const octets = [24, 16, 8, 0].map((shift) => Math.floor(begin / 2 ** shift) % 256);
  return `${octets.join('.')}/${prefix}`;
}
