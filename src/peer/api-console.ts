/** The web console as verbs: links into it and browser sessions. Part of the api (api.ts): no code, types alone. */

export interface ConsoleOpenParams {
  /** Good only for a browser of the user that the peer runs as, where the system can tell: others may see the link. */
  readonly isForOwnUser?: boolean
}

/** A way in for one browser tab. */
export interface ConsoleLink {
  /** Holds a secret in its fragment: good once, until `expiresAtMs`. */
  readonly url: string
  readonly expiresAtMs: number
  readonly port: number
}

export interface ConsoleSession {
  readonly id: string
  readonly createdAtMs: number
  readonly lastSeenMs: number
  /** What the browser calls itself. */
  readonly agent: string
}
