/**
 * Whether a request may be looked at at all, before anything of it is used: the one defence against other web pages,
 * rebinding names and other programs' pages on this machine. A pure function of the headers.
 *
 * - Host is one of three exact texts, always, also for the page itself: a name that merely resolves here is refused.
 * - What is not a plain read (any other method, an upgrade) must say that it comes from this very page: an `Origin` that
 *   equals the host, or, without one, `Sec-Fetch-Site: same-origin`. Neither: refused.
 * - A read must not say that it comes from elsewhere. `none` is a person who typed or opened the address.
 * No answer ever carries a CORS header, so a preflight is refused like any other unknown method.
 */

export interface Knock {
  readonly method: string
  /** Every header of the name, as it came: a second one is a trick. */
  readonly hosts: readonly string[]
  readonly origins: readonly string[]
  readonly fetchSites: readonly string[]
  readonly isUpgrade: boolean
}

export type Verdict =
  | { readonly isAdmitted: true }
  | { readonly isAdmitted: false; readonly status: 403 | 405 | 421; readonly reason: string }

const reads = new Set(['GET', 'HEAD'])
const writes = new Set(['POST', 'PATCH', 'DELETE'])

/** The Host headers that a console on `port` answers to. */
export const allowedHosts = (port: number): readonly string[] => [
  `127.0.0.1:${port}`,
  `localhost:${port}`,
  `[::1]:${port}`,
]

export function admit(knock: Knock, port: number): Verdict {
  const [host] = knock.hosts
  if (host === undefined || knock.hosts.length > 1 || !allowedHosts(port).includes(host))
    return refuse(421, 'this address is not the console')
  const isRead = reads.has(knock.method)
  if (!isRead && !writes.has(knock.method)) return refuse(405, 'no such method here')
  if (knock.origins.length > 1 || knock.fetchSites.length > 1) return refuse(403, 'a header came twice')
  const [origin] = knock.origins
  const [site] = knock.fetchSites
  if (origin !== undefined && origin !== `http://${host}`) return refuse(403, 'asked by another page')
  if (isRead && !knock.isUpgrade) {
    const isOwn = site === undefined || site === 'same-origin' || site === 'none'
    return isOwn ? { isAdmitted: true } : refuse(403, 'asked by another page')
  }
  if (site !== undefined && site !== 'same-origin') return refuse(403, 'asked by another page')
  if (origin === undefined && site === undefined) return refuse(403, 'not asked by the page of the console')
  return { isAdmitted: true }
}

const refuse = (status: 403 | 405 | 421, reason: string): Verdict => ({ isAdmitted: false, status, reason })
