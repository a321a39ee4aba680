/** The seam between the process and the console that it starts: every verb by name, and what each gives the other. Types alone. */
import type { Keep } from '../base/keep.ts'
import type { ApiCall, RequestVerb, StreamVerb } from './api.ts'
import type { ConsoleLink, ConsoleSession } from './api-console.ts'

/** Every verb by name, its parameters unchecked as they came: they are validated before the handler sees them. */
export interface VerbCalls {
  /** @throws `usage` for wrong parameters, else what the handler throws. */
  request(verb: RequestVerb, params: unknown, call: ApiCall): Promise<unknown>
  stream(verb: StreamVerb, params: unknown, call: ApiCall): AsyncIterable<unknown>
}

export interface ConsoleParts {
  readonly calls: VerbCalls
  readonly keep: Keep
  /** 0: any free one. Otherwise a free one is taken when it is busy. */
  readonly port: number
}

/** The gateway while it runs. Disposing it ends every session for good. */
export interface ConsoleHost extends AsyncDisposable {
  open(isForOwnUser?: boolean): ConsoleLink
  sessions(): readonly ConsoleSession[]
  /** @returns false when there is no such session. */
  endSession(id: string): Promise<boolean>
}
