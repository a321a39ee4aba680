/** libp2p's loggers, silenced: what matters reaches our own log where it is handled. */
import type { ComponentLogger, Logger } from '@libp2p/interface'

export function createSilentLogger(): ComponentLogger {
  const nothing = (): void => undefined
  const logger: Logger = Object.assign(nothing, {
    error: nothing,
    trace: nothing,
    enabled: false,
    newScope: (): Logger => logger,
  })
  return { forComponent: () => logger }
}
