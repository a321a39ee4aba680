/**
 * Which user of this machine is at the other end of a loopback connection. A link to the console that a browser was started
 * with stands in the list of processes, for every user to see; it is good for its own user alone. Linux says who it is
 * (proc(5), /proc/net/tcp: local and remote address, state, queues, timer, retransmits, uid); elsewhere nothing is known.
 */
import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'

const tables = ['/proc/net/tcp', '/proc/net/tcp6']

/** @returns a user id; undefined where the system does not tell. */
export async function ownerOf(socket: Socket): Promise<number | undefined> {
  const { remoteAddress, remotePort, localPort } = socket
  if (process.platform !== 'linux' || remoteAddress === undefined) return undefined
  if (remotePort === undefined || localPort === undefined) return undefined
  for (const table of tables) {
    try {
      const owner = findOwner(await readFile(table, 'latin1'), remotePort, localPort)
      if (owner !== undefined) return owner
    } catch (error) {
      // because: a machine without IPv6, or without /proc: then it is as elsewhere
      if (!(error instanceof Error && 'code' in error)) throw error
    }
  }
  return undefined
}

/** Both ends are on this machine: the one whose own port is the browser's. Ports suffice, addresses are loopback. */
export function findOwner(table: string, browserPort: number, consolePort: number): number | undefined {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0')
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', remote = '', , , , , uid = ''] = line.trim().split(/\s+/)
    if (!isLoopback(local) || !isLoopback(remote)) continue
    if (local.endsWith(`:${hex(browserPort)}`) && remote.endsWith(`:${hex(consolePort)}`))
      return /^\d+$/.test(uid) ? Number(uid) : undefined
  }
  return undefined
}

/** 127.0.0.0/8, also within IPv6, and ::1: bytes of each word in the order of the machine. */
const isLoopback = (address: string): boolean =>
  /^(?:[0-9A-F]{6}7F|0{16}FFFF0000[0-9A-F]{6}7F|0{24}01000000):/.test(address)
