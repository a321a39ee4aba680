/**
 * Where an X display is, and the cookie that opens it: DISPLAY and the Xauthority file (Xau(3), "AuFileDesc"). Only
 * displays of this machine: X11 to another one is neither sealed nor bounded, so nothing is read from there.
 */
import { open } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'

export interface DisplayPlace {
  /** As in DISPLAY, for people. */
  readonly name: string
  readonly number: number
  readonly address: { readonly path: string } | { readonly host: string; readonly port: number }
}

export interface DisplayCookie {
  readonly name: string
  /** One character a byte. */
  readonly data: string
}

type Variables = Readonly<Record<string, string | undefined>>

const cookieName = 'MIT-MAGIC-COOKIE-1'
const cookieFileBytes = 256 * 1024
const families = { local: 256, wild: 65535 }
const firstPort = 6000 // of X11 over TCP, which `ssh -X` uses on loopback

/** @returns undefined for what is no display of this machine. */
export function parseDisplay(name: string): DisplayPlace | undefined {
  const found = /^(unix|localhost|127\.0\.0\.1)?:(\d{1,5})(?:\.\d{1,3})?$/.exec(name)
  if (found === null) return undefined
  const number = Number(found[2])
  const host = found[1]
  if (host === undefined || host === 'unix') {
    return { name, number, address: { path: `/tmp/.X11-unix/X${number}` } }
  }
  if (firstPort + number > 65535) return undefined
  return { name, number, address: { host: '127.0.0.1', port: firstPort + number } }
}

/**
 * Whether the socket of a display may be used. Anybody may make one of this name once the display is gone, and whoever
 * made it would be given the clipboard: it must be the system's or ours. The root user takes what the person has.
 * @param self undefined where the system has no user ids.
 */
export function isTrustedOwner(owner: number, self: number | undefined): boolean {
  return self === undefined || self === 0 || owner === 0 || owner === self
}

/** The cookie for this display; an empty one where there is none, which a server may still accept. */
export async function findCookie(variables: Variables, place: DisplayPlace): Promise<DisplayCookie> {
  const home = variables['HOME']
  const path = variables['XAUTHORITY'] ?? (home === undefined ? undefined : join(home, '.Xauthority'))
  const content = path === undefined ? undefined : await readBounded(path)
  const cookie = content === undefined ? undefined : parseCookies(content, hostname(), place.number)
  return cookie ?? { name: '', data: '' }
}

/** Entries that are cut off, and those behind them, do not count. */
export function parseCookies(file: Uint8Array, host: string, display: number): DisplayCookie | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  let offset = 0
  const readText = (): string | undefined => {
    if (offset + 2 > file.byteLength) return undefined
    const end = offset + 2 + view.getUint16(offset)
    if (end > file.byteLength) return undefined
    const text = Buffer.from(file.subarray(offset + 2, end)).toString('latin1')
    offset = end
    return text
  }
  while (offset + 2 <= file.byteLength) {
    const family = view.getUint16(offset)
    offset += 2
    const [address, number, name, data] = [readText(), readText(), readText(), readText()]
    if (address === undefined || number === undefined || name === undefined || data === undefined)
      return undefined
    const isHere = family === families.wild || (family === families.local && address === host)
    if (isHere && (number === '' || number === String(display)) && name === cookieName) return { name, data }
  }
  return undefined
}

async function readBounded(path: string): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path)
    const buffer = new Uint8Array(cookieFileBytes)
    const { bytesRead } = await file.read(buffer, 0, cookieFileBytes, 0)
    return buffer.subarray(0, bytesRead)
  } catch {
    return undefined // because: no cookie is the usual case of a display without one, and the server decides
  }
}
