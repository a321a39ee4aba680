/**
 * What a person may set for one peer: `settings.json` in the home, and options of `skein up` before it. Everything
 * has a default, so a fresh home needs no file. The device name here only serves the first start: later it is
 * in the roster.
 */
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import type { Validator } from '../base/codec.ts'
import { array, boolean, integer, object, oneOf, optional, text } from '../base/codec.ts'
import { asSkeinError, SkeinError } from '../base/errors.ts'
import { limits } from '../base/limits.ts'
import type { LogLevel } from '../base/log.ts'
import type { DeviceKind } from './api-device.ts'
import { deviceKinds } from './api-device.ts'
import { settingsPath } from '../program/home-path.ts'

/** Where to listen. Port 0: any free one. */
export interface ListenAddress {
  /** An IP address; IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

export interface Settings {
  readonly name: string
  readonly kind: DeviceKind
  readonly listen: readonly ListenAddress[]
  /** Finding peers by multicast. Off: only known and given addresses are used. */
  readonly discovery: boolean
  /** Multicast on these network interfaces only; absent: on all. */
  readonly interfaces: readonly string[] | undefined
  readonly logLevel: LogLevel
  /** The web console on the loopback addresses, and the port it asks for; 0: any free one. */
  readonly console: boolean
  readonly consolePort: number
  /** This desktop takes part in the shared clipboard. */
  readonly clipboard: boolean
  /** How fast file contents may go out and come in. */
  readonly rates: ContentRates
}

export interface ContentRates {
  readonly sendBytesPerSecond: number | undefined
  readonly receiveBytesPerSecond: number | undefined
}

/** Settings as given by file or command line. */
interface GivenSettings {
  readonly name?: string | undefined
  readonly kind?: DeviceKind | undefined
  /** `host:port` or `[ipv6]:port`. */
  readonly listen?: readonly string[] | undefined
  readonly discovery?: boolean | undefined
  readonly interfaces?: readonly string[] | undefined
  readonly logLevel?: LogLevel | undefined
  readonly console?: boolean | undefined
  readonly consolePort?: number | undefined
  readonly clipboard?: boolean | undefined
  /** Kilobytes a second; absent: as fast as it goes. */
  readonly sendKBps?: number | undefined
  readonly receiveKBps?: number | undefined
}

/** Taken when it is free; any other one when it is not, as for a second peer on this machine. */
const defaultConsolePort = 4780

/** The options of the process entry under the names of settings.json; checked later, with the file. */
export function settingsFromOptions(options: Readonly<Record<string, unknown>>): unknown {
  return {
    name: options['name'],
    kind: options['kind'],
    listen: options['listen'],
    discovery: options['discovery'],
    interfaces: options['interface'],
    logLevel: options['log-level'],
    console: options['console'],
    clipboard: options['clipboard'],
    consolePort: options['console-port'] === undefined ? undefined : Number(options['console-port']),
  }
}

const shape: Validator<GivenSettings> = object({
  name: optional(text(limits.nameBytes, /\S/)),
  kind: optional(oneOf(...deviceKinds)),
  listen: optional(array(text(100), 16)),
  discovery: optional(boolean),
  interfaces: optional(array(text(64), 64)),
  logLevel: optional(oneOf('debug', 'info', 'warn', 'error')),
  console: optional(boolean),
  consolePort: optional(integer(65_535)),
  clipboard: optional(boolean),
  sendKBps: optional(integer(limits.rateKBps)),
  receiveKBps: optional(integer(limits.rateKBps)),
})

const defaultListen: readonly ListenAddress[] = [
  { host: '0.0.0.0', port: 0 },
  { host: '::', port: 0 },
]

/** @param options raw values from the command line; they win. @throws `config.invalid` naming file and place. */
export async function readSettings(home: string, options: unknown = {}): Promise<Settings> {
  const path = settingsPath(home)
  const file = check(path, await readFileSettings(path))
  const given = { ...file, ...withoutUndefined(check('the command line', options)) }
  return {
    name: given.name?.trim() ?? defaultName(),
    kind: given.kind ?? 'other',
    listen: given.listen?.map(parseListen) ?? defaultListen,
    discovery: given.discovery ?? true,
    interfaces: given.interfaces,
    logLevel: given.logLevel ?? 'info',
    console: given.console ?? true,
    consolePort: given.consolePort ?? defaultConsolePort,
    clipboard: given.clipboard ?? true,
    rates: { sendBytesPerSecond: rate(given.sendKBps), receiveBytesPerSecond: rate(given.receiveKBps) },
  }
}

/** Zero would never end: it means no limit, as absence does. */
const rate = (kBps: number | undefined): number | undefined =>
  kBps === undefined || kBps === 0 ? undefined : kBps * 1000

function check(source: string, value: unknown): GivenSettings {
  try {
    return shape(value, 'settings')
  } catch (error) {
    throw new SkeinError('config.invalid', `${source}: ${asSkeinError(error).message}`, {
      cause: error,
      fix: `correct it in ${source}; without it the default is used`,
    })
  }
}

const withoutUndefined = (given: GivenSettings): GivenSettings =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))

async function readFileSettings(path: string): Promise<unknown> {
  let content: string
  try {
    content = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw new SkeinError('home.unusable', `${path} cannot be read`, {
      cause: error,
      fix: `chmod u+r '${path}'`,
    })
  }
  try {
    if (content.length > limits.settingsBytes) throw new RangeError('too long')
    return JSON.parse(content)
  } catch (error) {
    throw new SkeinError('config.invalid', `${path} is not valid JSON`, {
      cause: error,
      fix: `correct it, or move it away to go back to the defaults: mv '${path}' '${path}.old'`,
    })
  }
}

/** @throws `config.invalid`. */
export function parseListen(given: string): ListenAddress {
  const match = /^(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|(\d{1,3}(?:\.\d{1,3}){3})|(localhost)):(\d{1,5})$/i.exec(
    given,
  )
  const port = integer(65_535)
  try {
    return {
      host: match?.[1] ?? match?.[2] ?? (match?.[3] === undefined ? '' : '127.0.0.1'),
      port: port(Number(match?.[4]), given),
    }
  } catch (error) {
    throw new SkeinError('config.invalid', `cannot listen on ${given}`, {
      cause: error,
      fix: 'give an address and a port, such as 192.168.1.5:4001 or [::]:0 (0: any free port)',
    })
  }
}

function defaultName(): string {
  const name = hostname().split('.')[0]?.slice(0, limits.nameBytes)
  return name === undefined || name === '' ? 'device' : name
}
