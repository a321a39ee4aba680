/** The log of a simulated device: into the trace when all is told, and a task that failed is a fault. */
import { createLog, type Log } from '../../src/base/log.ts'
import type { World } from '../world.ts'

export interface DeviceLogParts {
  readonly world: World
  readonly name: string
  readonly isVerbose: boolean
  readonly onFault: (what: string) => void
}

export function createDeviceLog({ world, name, isVerbose, onFault }: DeviceLogParts): Log {
  return createLog(
    ({ message, fields }) => {
      if (isVerbose) world.note(name, `${message} ${text(fields)}`)
      if (message === 'task failed' || message === 'cleanup failed')
        onFault(`${name}: ${message} ${text(fields)}`)
    },
    isVerbose ? 'debug' : 'error',
  )
}

const text = (fields: unknown): string =>
  JSON.stringify(fields, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
