/** Logs: constant message, data in fields with units in keys. Secrets and content never. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

export interface LogRecord {
  readonly level: LogLevel
  readonly scope: string
  readonly message: string
  readonly fields: LogFields
}

export interface Log {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  child(scope: string): Log
}

const order: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

/** A log that hands each record at or above `level` to `sink`. Scopes nest as `a.b`. */
export function createLog(sink: (record: LogRecord) => void, level: LogLevel = 'info', scope = ''): Log {
  const write =
    (recordLevel: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      if (order[recordLevel] >= order[level]) sink({ level: recordLevel, scope, message, fields })
    }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (name) => createLog(sink, level, scope === '' ? name : `${scope}.${name}`),
  }
}

export const silentLog: Log = createLog(() => undefined, 'error')

/** An error as log fields: name, code, message and the chain of causes, no stack. */
export function errorFields(error: unknown): LogFields {
  const chain: string[] = []
  let current: unknown = error
  while (current !== undefined && chain.length < 5) {
    if (!(current instanceof Error)) {
      chain.push(typeof current === 'string' ? current : JSON.stringify(current))
      break
    }
    const code = 'code' in current ? ` [${String(current.code)}]` : ''
    chain.push(`${current.name}${code}: ${current.message}`)
    current = current.cause
  }
  return { error: chain.join(' <- ') }
}
