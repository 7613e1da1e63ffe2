import { createHash, timingSafeEqual } from 'node:crypto';

/** What of a request decides whether it is answered. */
export interface Asked {
  readonly method: string | undefined;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  /** The header Sec-Fetch-Site, in which browsers tell from which site a request comes. */
  readonly site: string | undefined;
}

/** Names under which a browser reaches this machine itself, or by a tunnel to it. */
const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]'];

/**
 * Says why a request is not answered; undefined for one that may be. A page of another site cannot read answers, but it
 * can send requests, and by a DNS name that it has bound to 127.0.0.1 it could read them as well: its requests then have
 * that name as their host.
 */
export function refusalOf({ method, host, origin, site }: Asked): string | undefined {
  const name = /^(.*?)(?::\d+)?$/.exec(host ?? '')?.[1] ?? '';
  if (!LOOPBACK_NAMES.includes(name)) return 'host: is not this machine';
  if (origin !== undefined && origin !== `http://${host}`) return 'origin: is another site';
  // Links from elsewhere may lead to the page: whoever has its address has the token.
  if (method !== 'GET' && site !== undefined && site !== 'same-origin') return 'origin: is another site';
  return undefined;
}

/** Whether both are the same token, in a time that does not tell how much of it is right. */
export function isToken(given: string, token: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}
