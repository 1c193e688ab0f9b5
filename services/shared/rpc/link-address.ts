/** Where another service answers at a port of its own. */
export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/** Where another service answers behind something that passes WebSockets on, and nothing that is not HTTP. */
interface WebSocketAddress {
  /** `wss://host[:port]/path`; `ws:` where nothing ends TLS on the way, as what is in it is encrypted anyway. */
  readonly url: string;
}

export type LinkAddress = TcpAddress | WebSocketAddress;

export function isWebSocket(address: LinkAddress): address is WebSocketAddress {
  return 'url' in address;
}

/** As messages name it, and so that the same place has the same name. */
export function placeOf(address: LinkAddress): string {
  return isWebSocket(address) ? address.url : `${address.host}:${address.port}`;
}

const HOST = String.raw`(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)`;
const PLACE = String.raw`(?:${HOST}:[0-9]{1,5}|wss?://${HOST}(?::[0-9]{1,5})?(?:/[\w.~/-]*)?)`;
const NAMED = `[a-z-]+=${PLACE}`;
/** What `TRIBO_LINK_ADDRESSES` looks like; an address of version 6 stands in brackets. */
export const LINK_ADDRESSES = new RegExp(`^${NAMED}(?:,${NAMED})*$`);

/** By service; a list that the configuration has checked. */
export function linkAddressesIn(list: string): ReadonlyMap<string, readonly LinkAddress[]> {
  const named = list
    .split(',')
    .filter((each) => each !== '')
    .map((each) => {
      const equals = each.indexOf('=');
      return { service: each.slice(0, equals), address: addressIn(each.slice(equals + 1)) };
    });
  const byService = Map.groupBy(named, ({ service }) => service);
  return new Map([...byService].map(([service, all]) => [service, all.map(({ address }) => address)]));
}

function addressIn(place: string): LinkAddress {
  if (/^wss?:/.test(place)) return { url: place };
  const colon = place.lastIndexOf(':');
  return { host: place.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(place.slice(colon + 1)) };
}
